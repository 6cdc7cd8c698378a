import { cva, type VariantProps } from "class-variance-authority";
import { Slot } from "radix-ui";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

const button = cva(
  "inline-flex shrink-0 items-center justify-center gap-2 whitespace-nowrap rounded-none text-[11px] font-medium uppercase tracking-[0.16em] transition-colors disabled:pointer-events-none disabled:opacity-50 [&_svg]:size-3.5 [&_svg]:shrink-0",
  {
    variants: {
      variant: {
        solid: "bg-primary text-primary-foreground hover:bg-primary/85",
        outline: "border border-border bg-card hover:border-foreground hover:bg-muted",
        ghost: "hover:bg-muted",
        destructive: "bg-destructive text-destructive-foreground hover:bg-destructive/85",
      },
      size: { sm: "h-8 px-3", md: "h-9 px-4", icon: "size-8 tracking-normal" },
    },
    defaultVariants: { variant: "outline", size: "sm" },
  },
);

type Props = ComponentProps<"button"> & VariantProps<typeof button> & { asChild?: boolean };

export function Button({ className, variant, size, asChild = false, ...props }: Props) {
  const Element = asChild ? Slot.Root : "button";
  const type = asChild ? {} : { type: props.type ?? ("button" as const) };
  return <Element {...props} {...type} className={cn(button({ variant, size }), className)} />;
}
