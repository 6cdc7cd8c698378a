import { type ClassValue, clsx } from "clsx";
import { twMerge } from "tailwind-merge";

/** Class names joined; of two that contradict, the later one stays. */
export function cn(...names: ClassValue[]): string {
  return twMerge(clsx(names));
}
