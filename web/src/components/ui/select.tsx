import { ChevronDown } from "lucide-react";
import type { ComponentProps } from "react";
import { cn } from "@/lib/cn";

/** The browser's own list, in our clothes: nothing is easier to use on a phone. */
export function Select({ className, children, ...props }: ComponentProps<"select">) {
  return (
    <span className={cn("relative inline-flex", className)}>
      <select
        {...props}
        className="h-9 w-full appearance-none rounded-none border border-border bg-card pr-8 pl-3 text-[11px] font-medium tracking-[0.14em] text-ellipsis text-foreground uppercase hover:border-foreground max-sm:pr-7 max-sm:pl-2 max-sm:tracking-[0.04em]"
      >
        {children}
      </select>
      <ChevronDown className="pointer-events-none absolute top-1/2 right-2.5 size-3.5 -translate-y-1/2 text-muted-foreground" />
    </span>
  );
}
