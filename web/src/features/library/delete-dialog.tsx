import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import type { FileResource } from "@/lib/api";
import { useDeletion } from "./use-deletion";

interface Props {
  /** What to ask about; null while nothing is to be asked. */
  files: readonly Pick<FileResource, "id" | "fileName">[] | null;
  onClose: () => void;
  onDeleted?: () => void;
}

export function DeleteDialog({ files, onClose, onDeleted }: Props) {
  const deletion = useDeletion();
  const count = files?.length ?? 0;
  const what = count === 1 ? `“${files?.[0]?.fileName}”` : `${count} files`;
  return (
    <ConfirmDialog
      open={files !== null}
      onOpenChange={(open) => !open && onClose()}
      title={`Delete ${what}?`}
      action={count === 1 ? "Delete" : `Delete ${count}`}
      onConfirm={() => files && deletion.mutate(files, { onSuccess: () => onDeleted?.() })}
    >
      Wherever {count === 1 ? "it is" : "they are"} in use, in a post or a newsletter,{" "}
      {count === 1 ? "it" : "they"} will be missing. This cannot be undone.
    </ConfirmDialog>
  );
}
