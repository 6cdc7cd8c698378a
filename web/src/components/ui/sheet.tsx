import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { ComponentProps, ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Button } from "./button";

export const Sheet = Dialog.Root;
export const SheetClose = Dialog.Close;

type Props = ComponentProps<typeof Dialog.Content> & {
  title: string;
  side?: "left" | "right";
  overlay?: boolean;
  actions?: ReactNode;
};

/** A panel at the side of the page, with its title on top. */
export function SheetContent({
  title,
  side = "right",
  overlay = true,
  actions,
  className,
  children,
  ...props
}: Props) {
  const place =
    side === "right"
      ? "right-0 border-l data-[state=open]:slide-in-from-right data-[state=closed]:slide-out-to-right"
      : "left-0 border-r data-[state=open]:slide-in-from-left data-[state=closed]:slide-out-to-left";
  return (
    <Dialog.Portal>
      {overlay && (
        <Dialog.Overlay className="fixed inset-0 z-40 bg-black/50 data-[state=open]:animate-in data-[state=open]:fade-in data-[state=closed]:animate-out data-[state=closed]:fade-out" />
      )}
      <Dialog.Content
        aria-describedby={undefined}
        {...props}
        className={cn(
          "fixed inset-y-0 z-50 flex w-full flex-col bg-background shadow-2xl outline-none duration-200 data-[state=open]:animate-in data-[state=closed]:animate-out",
          place,
          className,
        )}
      >
        <header className="flex h-14 shrink-0 items-center gap-2 border-b px-4">
          <Dialog.Title className="min-w-0 flex-1 truncate text-sm font-medium">
            {title}
          </Dialog.Title>
          {actions}
          <Dialog.Close asChild>
            <Button variant="ghost" size="icon" aria-label="Close">
              <X />
            </Button>
          </Dialog.Close>
        </header>
        {children}
      </Dialog.Content>
    </Dialog.Portal>
  );
}
