import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import type { FileResource } from "@/lib/api";
import { nameOf, useDeletion } from "./use-deletion";

interface Props {
  /** What to ask about; null while nothing is to be asked. */
  files: readonly FileResource[] | null;
  onClose: () => void;
  onDeleted?: () => void;
  /** Gives the focus to a neighbour of what had it and is gone. */
  onFocusLost: () => void;
}

/** Whether the focus fell to the page, or to the panel around, when what had it went. */
const focusIsLost = () => document.activeElement?.matches("body, [role=dialog]") ?? true;

/** The list is drawn without the files some frames later, a second at most. */
function whenFocusIsLost(act: () => void, frames = 60): void {
  if (focusIsLost()) act();
  else if (frames > 0) requestAnimationFrame(() => whenFocusIsLost(act, frames - 1));
}

export function DeleteDialog({ files, onClose, onDeleted, onFocusLost }: Props) {
  const deletion = useDeletion();
  const deleted = () => {
    onDeleted?.();
    whenFocusIsLost(onFocusLost);
  };
  const count = files?.length ?? 0;
  return (
    <ConfirmDialog
      open={files !== null}
      onOpenChange={(open) => !open && onClose()}
      title={`Delete ${nameOf(files ?? [])}?`}
      action={count === 1 ? "Delete" : `Delete ${count}`}
      onConfirm={() => files && deletion.mutate(files, { onSuccess: deleted })}
      onOpenerGone={onFocusLost}
    >
      Wherever {count === 1 ? "it is" : "they are"} in use, in a post or a newsletter,{" "}
      {count === 1 ? "it" : "they"} will be missing. You can undo this, and the bin keeps{" "}
      {count === 1 ? "it" : "them"} for a while.
    </ConfirmDialog>
  );
}
