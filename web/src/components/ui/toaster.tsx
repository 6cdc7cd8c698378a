import { X } from "lucide-react";
import { Toast } from "radix-ui";
import { useEffect } from "react";
import { cn } from "@/lib/cn";
import { accept, acceptLatest, dismissToast, useToasts } from "@/lib/toasts";
import { Button } from "./button";

/** Long enough to see the mistake, and to reach the button. */
const OFFER_MS = 12_000;

export function Toaster() {
  const toasts = useToasts();
  useEffect(() => {
    const keyed = (event: KeyboardEvent) => {
      const inText = (event.target as HTMLElement).closest("input, textarea, select");
      const undo = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
      if (undo && !inText && acceptLatest()) event.preventDefault();
    };
    window.addEventListener("keydown", keyed);
    return () => window.removeEventListener("keydown", keyed);
  }, []);
  return (
    <Toast.Provider duration={6000} swipeDirection="left">
      {toasts.map((toast) => (
        <Toast.Root
          key={toast.id}
          {...(toast.action && { duration: OFFER_MS })}
          type={toast.tone === "error" ? "foreground" : "background"}
          onOpenChange={(open) => !open && dismissToast(toast.id)}
          className={cn(
            "flex items-center gap-3 border border-l-2 bg-card p-3 pl-4 text-sm shadow-xl animate-in fade-in slide-in-from-bottom-2",
            toast.tone === "error" ? "border-l-destructive" : "border-l-accent",
          )}
        >
          <Toast.Description className="min-w-0 flex-1 break-words">{toast.text}</Toast.Description>
          {toast.action && (
            <Toast.Action asChild altText={`${toast.action.label}: Control Z does the same`}>
              <Button variant="solid" onClick={() => accept(toast)}>
                {toast.action.label}
              </Button>
            </Toast.Action>
          )}
          <Toast.Close aria-label="Dismiss" className="text-muted-foreground hover:text-foreground">
            <X className="size-4" />
          </Toast.Close>
        </Toast.Root>
      ))}
      <Toast.Viewport className="pointer-events-auto fixed bottom-4 left-4 z-[90] flex w-[calc(100vw-2rem)] max-w-sm flex-col gap-2 outline-none" />
    </Toast.Provider>
  );
}
