import { useMutation } from "@tanstack/react-query";
import { ApiError, bulkDelete, deleteFile, type FileResource } from "@/lib/api";
import { say } from "@/lib/toasts";
import { forget } from "./file-cache";

/** The most that one request takes. */
const BATCH = 100;

type Named = Pick<FileResource, "id" | "fileName">;

async function deleteAll(files: readonly Named[]): Promise<string[]> {
  const [first] = files;
  if (files.length === 1 && first) {
    try {
      await deleteFile(first.id);
    } catch (error) {
      // Somebody was faster: it is gone, which is what was wanted.
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
    forget([first.id]);
    return [];
  }
  const failed: string[] = [];
  for (let start = 0; start < files.length; start += BATCH) {
    const answer = await bulkDelete(files.slice(start, start + BATCH).map((file) => file.id));
    const gone = answer.failed.filter((one) => one.code === "MEDIA_NOT_FOUND").map((one) => one.id);
    forget([...answer.deleted, ...gone]);
    const stayed = answer.failed.filter((one) => one.code !== "MEDIA_NOT_FOUND");
    failed.push(...stayed.map((one) => one.error));
  }
  return failed;
}

/** Delete files, one request for up to 100 of them, never repeated by itself (spec 7.2). */
export function useDeletion() {
  return useMutation({
    mutationFn: deleteAll,
    onSuccess: (failed, files) => {
      const gone = files.length - failed.length;
      const [first] = files;
      if (files.length === 1 && first) say(`“${first.fileName}” is deleted.`);
      else if (gone > 0) say(`${gone} files are deleted.`);
      if (failed.length > 0)
        say(`${failed.length} files could not be deleted: ${failed[0]}`, "error");
    },
    onError: (error) => say(`Nothing more was deleted: ${error.message}`, "error"),
  });
}
