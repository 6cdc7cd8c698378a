import { RotateCcw, Trash2 } from "lucide-react";
import { type MouseEvent, memo } from "react";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { FileThumbnail } from "@/features/library/file-thumbnail";
import type { FileResource } from "@/lib/api";
import { formatAgo, formatBytes, formatMoment, formatUntil } from "@/lib/format";
import { trackSpotlight } from "@/lib/spotlight";

export interface RowActions {
  toggle: (file: FileResource, event: MouseEvent) => void;
  restore: (file: FileResource) => void;
  /** Not given to those who may not. */
  purge: ((file: FileResource) => void) | undefined;
}

interface Props {
  file: FileResource;
  selected: boolean;
  actions: RowActions;
}

/** One deleted file: who, when, for how long, and the ways out. */
export const BinRow = memo(function BinRow({ file, selected, actions }: Props) {
  const { fileName, deletedAt, deletedBy, purgeAt } = file;
  return (
    <div
      data-selected={selected}
      onPointerMove={trackSpotlight}
      className="spotlight flex h-full items-center gap-3 border-r border-b px-3"
    >
      <Checkbox
        checked={selected}
        aria-label={`Select ${fileName}`}
        onClick={(event) => actions.toggle(file, event)}
      />
      {/* Its renditions are gone; what it looked like is still known. */}
      <FileThumbnail
        file={{ ...file, variants: {}, url: null, isPublic: true }}
        className="size-10 shrink-0 max-sm:hidden"
      />
      <div className="min-w-0 flex-1">
        <p className="truncate text-sm" title={fileName}>
          {fileName}
        </p>
        <p className="truncate text-xs text-muted-foreground tabular-nums">
          {formatBytes(file.fileSize)}
          {deletedAt && (
            <>
              {" · deleted "}
              <time dateTime={deletedAt} title={formatMoment(deletedAt)}>
                {formatAgo(deletedAt)}
              </time>
            </>
          )}
          {deletedBy && <> by {deletedBy}</>}
        </p>
      </div>
      {purgeAt && (
        <p
          className="hidden w-36 shrink-0 text-right text-xs text-muted-foreground tabular-nums md:block"
          title={formatMoment(purgeAt)}
        >
          Gone {formatUntil(purgeAt)}
        </p>
      )}
      <Button aria-label={`Restore ${fileName}`} onClick={() => actions.restore(file)}>
        <RotateCcw /> <span className="max-sm:hidden">Restore</span>
      </Button>
      {actions.purge && (
        <Button
          size="icon"
          aria-label={`Delete ${fileName} for good`}
          onClick={() => actions.purge?.(file)}
        >
          <Trash2 />
        </Button>
      )}
    </div>
  );
});
