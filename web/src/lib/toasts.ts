import { useSyncExternalStore } from "react";

/** What a toast offers to do about it, once. */
export interface ToastAction {
  label: string;
  run: () => void;
}

export interface Toast {
  id: number;
  text: string;
  tone: "plain" | "error";
  action: ToastAction | undefined;
}

let toasts: readonly Toast[] = [];
let count = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]): void {
  toasts = next;
  for (const listener of listeners) listener();
}

/** Tell the person something; screen readers hear it too. */
export function say(text: string, tone: Toast["tone"] = "plain", action?: ToastAction): void {
  count += 1;
  set([...toasts.slice(-3), { id: count, text, tone, action }]);
}

export function dismissToast(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

/** Do what a toast offers; it goes, so that nothing is done twice. */
export function accept(toast: Toast): void {
  dismissToast(toast.id);
  toast.action?.run();
}

/** Take the newest offer that still shows; false when there is none. */
export function acceptLatest(): boolean {
  const latest = toasts.findLast((toast) => toast.action !== undefined);
  if (latest) accept(latest);
  return latest !== undefined;
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
