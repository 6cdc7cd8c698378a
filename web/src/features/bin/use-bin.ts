import { useMutation } from "@tanstack/react-query";
import { forgetBinned, show } from "@/features/library/file-cache";
import { nameOf } from "@/features/library/use-deletion";
import { ApiError, type FileResource, purgeFile, restoreFile } from "@/lib/api";
import { say } from "@/lib/toasts";

const AT_ONCE = 4;

interface Done {
  done: FileResource[];
  failed: Error[];
}

/** One command for each file, a few at a time; none is repeated by itself. */
async function each(
  files: readonly FileResource[],
  act: (file: FileResource) => Promise<void>,
): Promise<Done> {
  const waiting = [...files];
  const result: Done = { done: [], failed: [] };
  const work = async () => {
    for (let file = waiting.shift(); file; file = waiting.shift()) {
      try {
        await act(file);
        result.done.push(file);
      } catch (error) {
        // Somebody was faster, or its time was over.
        if (error instanceof ApiError && error.status === 404) forgetBinned([file.id]);
        result.failed.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return result;
}

function tell({ done, failed }: Done, did: string, didNot: string): void {
  forgetBinned(done.map((file) => file.id));
  if (done.length > 0) say(`${did} ${nameOf(done)}.`);
  const [first] = failed;
  if (first) say(`${failed.length} ${didNot}: ${first.message}`, "error");
}

/** Bring files back into the library. */
export function useRestore() {
  return useMutation({
    mutationFn: (files: readonly FileResource[]) =>
      each(files, async (file) => show([await restoreFile(file.id)])),
    onSuccess: (result) => tell(result, "Restored", "could not be restored"),
  });
}

/** Remove files of the bin for good. */
export function usePurge() {
  return useMutation({
    mutationFn: (files: readonly FileResource[]) => each(files, (file) => purgeFile(file.id)),
    onSuccess: (result) => tell(result, "Deleted for good:", "could not be deleted"),
  });
}
