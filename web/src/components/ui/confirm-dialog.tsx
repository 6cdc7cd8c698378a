import { AlertDialog } from "radix-ui";
import { type ReactNode, useRef } from "react";
import { Button } from "./button";

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  title: string;
  children: ReactNode;
  action: string;
  onConfirm: () => void;
  /** Gives the focus to another, when what opened the dialog is no longer there at its end. */
  onOpenerGone?: () => void;
}

/** Asks before something that cannot be taken back; the way out has the focus. */
export function ConfirmDialog({ open, onOpenChange, title, children, ...does }: Props) {
  const { action, onConfirm, onOpenerGone } = does;
  const opener = useRef<Element | null>(null);
  return (
    <AlertDialog.Root open={open} onOpenChange={onOpenChange}>
      <AlertDialog.Portal>
        <AlertDialog.Overlay className="fixed inset-0 z-[60] bg-black/60 data-[state=open]:animate-in data-[state=open]:fade-in" />
        <AlertDialog.Content
          onOpenAutoFocus={() => {
            opener.current = document.activeElement;
          }}
          // Without a trigger of its own, the dialog would leave the focus with nobody.
          onCloseAutoFocus={(event) => {
            event.preventDefault();
            const { current } = opener;
            if (current instanceof HTMLElement && current.isConnected) current.focus();
            else onOpenerGone?.();
          }}
          className="fixed top-1/2 left-1/2 z-[70] w-[calc(100vw-2rem)] max-w-md -translate-x-1/2 -translate-y-1/2 border border-l-2 border-l-destructive bg-background p-6 shadow-2xl outline-none data-[state=open]:animate-in data-[state=open]:fade-in data-[state=open]:zoom-in-95"
        >
          <AlertDialog.Title className="text-lg font-medium tracking-tight">
            {title}
          </AlertDialog.Title>
          <AlertDialog.Description asChild>
            <div className="mt-2 text-sm text-muted-foreground">{children}</div>
          </AlertDialog.Description>
          <div className="mt-6 flex justify-end gap-2">
            <AlertDialog.Cancel asChild>
              <Button size="md">Keep</Button>
            </AlertDialog.Cancel>
            <AlertDialog.Action asChild>
              <Button size="md" variant="destructive" onClick={onConfirm}>
                {action}
              </Button>
            </AlertDialog.Action>
          </div>
        </AlertDialog.Content>
      </AlertDialog.Portal>
    </AlertDialog.Root>
  );
}
