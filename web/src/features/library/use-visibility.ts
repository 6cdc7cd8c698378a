import { useMutation } from "@tanstack/react-query";
import { changeVisibility, type FileResource, purgeCache } from "@/lib/api";
import { say } from "@/lib/toasts";
import { show } from "./file-cache";

/** Make a file public or private. */
export function useVisibility() {
  return useMutation({
    mutationFn: ({ file, isPublic }: { file: FileResource; isPublic: boolean }) =>
      changeVisibility(file.id, isPublic),
    onSuccess: (file) => {
      show([file]);
      say(
        file.isPublic
          ? `Everybody with its URL may see “${file.fileName}” now.`
          : `Only your workspace may see “${file.fileName}” now.`,
      );
    },
    onError: (error) => say(`The access was not changed: ${error.message}`, "error"),
  });
}

/** Have the caches forget a file. */
export function useCachePurge() {
  return useMutation({
    mutationFn: (file: FileResource) => purgeCache(file.id),
    onSuccess: (_, file) => say(`The caches are told to forget “${file.fileName}”.`),
    onError: (error) => say(`The caches were not told: ${error.message}`, "error"),
  });
}
