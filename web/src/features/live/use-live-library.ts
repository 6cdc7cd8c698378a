import { useEffect } from "react";
import { left, listAnew, show } from "@/features/library/file-cache";
import { firstRead } from "@/lib/api";
import { LiveLibrary } from "./live-library";

/** Keep what the page shows true while others work on the same library. */
export function useLiveLibrary(enabled: boolean): void {
  useEffect(() => {
    if (!enabled) return;
    let stop: (() => void) | null = null;
    let over = false;
    // Only what comes after the first list is news; a page that lists nothing needs none.
    void firstRead.then((position) => {
      if (!over) stop = new LiveLibrary(position, { show, left, missed: listAnew }).start();
    });
    return () => {
      over = true;
      stop?.();
    };
  }, [enabled]);
}
