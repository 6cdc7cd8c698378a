import { useMutation } from "@tanstack/react-query";
import {
  ApiError,
  bulkDelete,
  type CommandId,
  deleteFile,
  type FileResource,
  undoCommand,
} from "@/lib/api";
import { say } from "@/lib/toasts";
import { forget, mineToRemove, show } from "./file-cache";
import { cameBack } from "./pictures";

/** The most that one request takes. */
const BATCH = 100;

interface Deleted {
  files: readonly FileResource[];
  /** What to undo, in the order it was done. */
  commands: readonly string[];
  /** Why some stayed. */
  failed: readonly string[];
  /** What ended it before all were asked for; nothing is repeated by itself. */
  broken: Error | null;
}

async function deleteAll(files: readonly FileResource[]): Promise<Deleted> {
  const gone = new Set<string>();
  const commands: CommandId[] = [];
  const failed: string[] = [];
  let broken: Error | null = null;
  // Before the answers, since the live library may be faster than they are.
  mineToRemove(files.map((file) => file.id));
  try {
    for (let start = 0; start < files.length; start += BATCH) {
      const some = files.slice(start, start + BATCH).map((file) => file.id);
      const [only] = some;
      if (files.length === 1 && only) {
        commands.push(await deleteOne(only));
        gone.add(only);
      } else {
        const { data, command } = await bulkDelete(some);
        // Somebody was faster: those are gone, which is what was wanted.
        const missing = data.failed.filter((one) => one.code === "MEDIA_NOT_FOUND");
        for (const id of [...data.deleted, ...missing.map((one) => one.id)]) gone.add(id);
        const stayed = data.failed.filter((one) => one.code !== "MEDIA_NOT_FOUND");
        failed.push(...stayed.map((one) => one.error));
        if (data.deleted.length > 0) commands.push(command);
      }
      forget(gone);
    }
  } catch (error) {
    broken = error instanceof Error ? error : new Error(String(error));
  }
  return {
    files: files.filter((file) => gone.has(file.id)),
    commands: commands.filter((command) => command !== null),
    failed,
    broken,
  };
}

async function deleteOne(id: string): Promise<CommandId> {
  try {
    return await deleteFile(id);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null;
    throw error;
  }
}

/** `10 files`, or the name of the only one. */
export function nameOf(files: readonly Pick<FileResource, "fileName">[]): string {
  const [first] = files;
  return files.length === 1 && first ? `“${first.fileName}”` : `${files.length} files`;
}

async function takeBack({ files, commands }: Deleted): Promise<void> {
  try {
    for (const command of commands) await undoCommand(command);
    show(files.map(cameBack));
    say(`${nameOf(files)} ${files.length === 1 ? "is" : "are"} back.`);
  } catch (error) {
    say(`That could not be undone: ${error instanceof Error ? error.message : error}`, "error");
  }
}

/** Delete files, one request for up to 100 of them, never repeated by itself (spec 7.2). */
export function useDeletion() {
  return useMutation({
    mutationFn: deleteAll,
    onSuccess: (deleted) => {
      const { files, commands, failed, broken } = deleted;
      if (files.length > 0) {
        const undo = { label: "Undo", run: () => void takeBack(deleted) };
        say(`Deleted ${nameOf(files)}.`, "plain", commands.length > 0 ? undo : undefined);
      }
      if (failed.length > 0)
        say(`${failed.length} files could not be deleted: ${failed[0]}`, "error");
      if (broken) say(`Nothing more was deleted: ${broken.message}`, "error");
    },
  });
}
