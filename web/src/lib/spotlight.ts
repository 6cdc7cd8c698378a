import type { PointerEvent } from "react";

/** Moves the light of the utility `spotlight` to where the pointer is. */
export function trackSpotlight(event: PointerEvent<HTMLElement>): void {
  const box = event.currentTarget.getBoundingClientRect();
  event.currentTarget.style.setProperty("--x", `${event.clientX - box.left}px`);
  event.currentTarget.style.setProperty("--y", `${event.clientY - box.top}px`);
}
