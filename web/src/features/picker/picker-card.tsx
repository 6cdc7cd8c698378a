import { Trash2 } from "lucide-react";
import { Tooltip } from "@/components/ui/tooltip";
import { FileThumbnail } from "@/features/library/file-thumbnail";
import type { FileResource } from "@/lib/api";
import { formatBytes, formatDay } from "@/lib/format";
import { trackSpotlight } from "@/lib/spotlight";

interface Props {
  file: FileResource;
  /** Whether Tab reaches it; the arrow keys reach the others. */
  reachable: boolean;
  onFocus: () => void;
  onPick: () => void;
  onDelete: (() => void) | undefined;
}

export function PickerCard({ file, reachable, onFocus, onPick, onDelete }: Props) {
  const reach = reachable ? 0 : -1;
  return (
    <li onPointerMove={trackSpotlight} className="group spotlight border-r border-b">
      <Tooltip
        text={`${file.fileName} · ${formatBytes(file.fileSize)} · ${formatDay(file.createdAt)}`}
      >
        <button
          type="button"
          data-pick
          tabIndex={reach}
          aria-label={`Choose ${file.fileName}`}
          onFocus={onFocus}
          onClick={onPick}
          className="block w-full text-left focus-visible:-outline-offset-2"
        >
          <FileThumbnail file={file} className="aspect-square w-full" />
          <span className="block truncate border-t px-2 py-1.5 text-xs">{file.fileName}</span>
        </button>
      </Tooltip>
      {onDelete && (
        <button
          type="button"
          tabIndex={reach}
          aria-label={`Delete ${file.fileName}`}
          onClick={onDelete}
          className="reveal absolute top-1.5 right-1.5 z-10 flex size-7 items-center justify-center border border-border bg-background hover:bg-destructive hover:text-destructive-foreground"
        >
          <Trash2 className="size-3.5" />
        </button>
      )}
    </li>
  );
}
