import { Trash2, X } from "lucide-react";
import { Button } from "@/components/ui/button";
import type { FileResource } from "@/lib/api";
import { formatBytes, formatCount } from "@/lib/format";

interface Props {
  files: readonly FileResource[];
  onClear: () => void;
  onAll: () => void;
  onDelete: () => void;
}

/** What can be done with the selected files; sticks to the bottom while there are any. */
export function BulkBar({ files, onClear, onAll, onDelete }: Props) {
  const bytes = files.reduce((sum, file) => sum + file.fileSize, 0);
  return (
    <>
      <p role="status" className="sr-only">
        {files.length > 0 ? `${files.length} selected` : ""}
      </p>
      {files.length > 0 && (
        <section
          aria-label="Selected files"
          data-bulk-bar
          className="fixed bottom-4 left-1/2 z-20 flex max-w-[calc(100vw-2rem)] -translate-x-1/2 items-center gap-2 border border-l-2 border-l-accent bg-card py-2 pr-2 pl-4 shadow-2xl animate-in fade-in slide-in-from-bottom-2 lg:left-[calc(50%+7.5rem)]"
        >
          <p className="pr-2 text-sm whitespace-nowrap tabular-nums">
            <strong className="font-semibold">{formatCount(files.length)}</strong> selected
            <span className="hidden text-muted-foreground sm:inline"> · {formatBytes(bytes)}</span>
          </p>
          <Button onClick={onAll} className="max-sm:hidden">
            Select all shown
          </Button>
          <Button variant="destructive" onClick={onDelete}>
            <Trash2 /> Delete
          </Button>
          <Button variant="ghost" size="icon" aria-label="Clear the selection" onClick={onClear}>
            <X />
          </Button>
        </section>
      )}
    </>
  );
}
