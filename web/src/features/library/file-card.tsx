import { Download, Link2, Trash2 } from "lucide-react";
import { type MouseEvent, memo, useId, useState } from "react";
import { Checkbox } from "@/components/ui/checkbox";
import { Badge } from "@/components/ui/heading";
import { downloadUrl, type FileResource } from "@/lib/api";
import { cn } from "@/lib/cn";
import { copy } from "@/lib/copy";
import { formatBytes, formatDay, formatShortDay } from "@/lib/format";
import { trackSpotlight } from "@/lib/spotlight";
import { FileThumbnail } from "./file-thumbnail";

/** What one can do with a card; the same object for all of them, so that none is drawn in vain. */
export interface CardActions {
  press: (file: FileResource, event: MouseEvent) => void;
  toggle: (file: FileResource, event: MouseEvent) => void;
  focus: (index: number) => void;
  remove: (file: FileResource) => void;
}

interface Props {
  file: FileResource;
  index: number;
  view: "grid" | "list";
  selected: boolean;
  /** Whether some file is selected: then all boxes show. */
  selecting: boolean;
  /** Whether Tab reaches this card. */
  active: boolean;
  open: boolean;
  canWrite: boolean;
  actions: CardActions;
}

export const FileCard = memo(function FileCard(props: Props) {
  const { file, index, view, selected, selecting, active, open, canWrite, actions } = props;
  const id = useId();
  // Buttons that nobody can see or reach yet would be half the work of scrolling.
  const [near, setNear] = useState(false);
  const reach = active ? 0 : -1;
  const press = (event: MouseEvent) => {
    if ((event.target as Element).closest("button, a")) return;
    actions.press(file, event);
  };
  const box = canWrite && (
    <Checkbox
      checked={selected}
      tabIndex={reach}
      aria-label={`Select ${file.fileName}`}
      data-shown={selecting || selected}
      className="reveal"
      onClick={(event) => actions.toggle(file, event)}
    />
  );
  const thumbnail = (
    <FileThumbnail
      file={file}
      className={view === "grid" ? "absolute inset-0" : "size-10 shrink-0"}
    />
  );
  // The spaces between elements are for those who hear the name, which is made from the text.
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the grid around it hears the keys
    <div
      role="gridcell"
      data-index={index}
      data-selected={selected || open}
      aria-selected={selected}
      aria-labelledby={`${id}-name ${id}-meta`}
      tabIndex={reach}
      onClick={press}
      onFocus={() => actions.focus(index)}
      onPointerEnter={() => setNear(true)}
      onPointerMove={trackSpotlight}
      className={cn(
        "group spotlight min-w-0 select-none focus-visible:-outline-offset-2",
        view === "grid"
          ? "flex flex-col border-r border-b"
          : "flex h-full flex-1 items-center gap-3 border-r border-b px-3",
      )}
    >
      {view === "grid" ? (
        <>
          <div className="relative min-h-0 flex-1">
            {thumbnail}
            <span className="absolute top-2 left-2">{box}</span>
            {(near || active) && <Actions {...props} className="absolute top-2 right-2 flex-col" />}
          </div>
          <div className="h-[4.25rem] border-t p-3">
            <p id={`${id}-name`} className="truncate text-sm" title={file.fileName}>
              {file.fileName}
            </p>{" "}
            <p
              id={`${id}-meta`}
              className="mt-1 flex items-center justify-between gap-2 text-xs whitespace-nowrap text-muted-foreground tabular-nums"
            >
              <span className="truncate">
                {formatBytes(file.fileSize)}
                <span className="max-sm:hidden"> · {formatShortDay(file.createdAt)}</span>
              </span>{" "}
              <Badge>{file.serviceCode}</Badge>
            </p>
          </div>
        </>
      ) : (
        <>
          {box}
          {thumbnail}
          <p className="min-w-0 flex-1">
            <span id={`${id}-name`} className="block truncate text-sm" title={file.fileName}>
              {file.fileName}
            </span>
            <span className="block text-xs text-muted-foreground tabular-nums md:hidden">
              {formatBytes(file.fileSize)} · {formatDay(file.createdAt)}
            </span>
          </p>{" "}
          <span
            id={`${id}-meta`}
            className="hidden shrink-0 items-center gap-3 text-right text-sm text-muted-foreground tabular-nums md:flex"
          >
            <span className="w-24 text-left">
              <Badge>{file.serviceCode}</Badge>
            </span>{" "}
            <span className="w-20">{formatBytes(file.fileSize)}</span>{" "}
            <span className="w-28">{formatDay(file.createdAt)}</span>
          </span>
          <span className="hidden w-[98px] sm:block">
            {(near || active) && <Actions {...props} />}
          </span>
        </>
      )}
    </div>
  );
});

function Actions({ file, active, canWrite, actions, className }: Props & { className?: string }) {
  const look =
    "flex size-8 items-center justify-center border border-border bg-background text-foreground hover:bg-primary hover:text-primary-foreground";
  const reach = active ? 0 : -1;
  const { url } = file;
  return (
    <span className={cn("reveal flex gap-px pointer-coarse:hidden", className)}>
      {url && (
        <button
          type="button"
          tabIndex={reach}
          className={look}
          aria-label={`Copy the URL of ${file.fileName}`}
          onClick={() => void copy(url, "URL")}
        >
          <Link2 className="size-4" />
        </button>
      )}
      <a
        href={downloadUrl(file.id)}
        download
        tabIndex={reach}
        className={look}
        aria-label={`Download ${file.fileName}`}
      >
        <Download className="size-4" />
      </a>
      {canWrite && (
        <button
          type="button"
          tabIndex={reach}
          className={look}
          aria-label={`Delete ${file.fileName}`}
          onClick={() => actions.remove(file)}
        >
          <Trash2 className="size-4" />
        </button>
      )}
    </span>
  );
}
