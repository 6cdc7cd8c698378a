import { ChevronDown, ChevronUp, RotateCcw, X } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { formatBytes, formatCount } from "@/lib/format";
import { ACTIVE, type Upload } from "./upload-queue";
import { uploadQueue, useMediaUpload } from "./use-media-upload";

const SAID: Record<Upload["state"], string> = {
  queued: "Queued",
  uploading: "Uploading",
  verifying: "Verifying",
  waiting: "Waiting",
  done: "Done",
  failed: "Failed",
  refused: "Not accepted",
  cancelled: "Cancelled",
};

/** Every upload of the page, wherever one goes in it. */
export function UploadTray() {
  const { uploads } = useMediaUpload();
  const [open, setOpen] = useState(true);
  const active = uploads.filter((upload) => ACTIVE.includes(upload.state));
  const failed = uploads.filter((upload) => upload.state === "failed");
  const done = uploads.filter((upload) => upload.state === "done");
  const busy = active.length > 0;

  useEffect(() => {
    if (!busy) return;
    const warn = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener("beforeunload", warn);
    return () => window.removeEventListener("beforeunload", warn);
  }, [busy]);

  if (uploads.length === 0) return null;
  const title = busy
    ? `Uploading ${formatCount(active.length)}`
    : failed.length > 0
      ? `${formatCount(failed.length)} failed`
      : `${formatCount(done.length)} uploaded`;
  return (
    <section
      aria-label="Uploads"
      className="fixed right-4 bottom-4 z-30 in-[:root:has([data-bulk-bar])]:bottom-20 w-[calc(100vw-2rem)] max-w-96 border bg-card shadow-2xl animate-in fade-in slide-in-from-bottom-4"
    >
      <header className="flex h-11 items-center gap-1 border-b pr-1 pl-4">
        <h2 className="label-caps flex-1 text-foreground tabular-nums" aria-live="polite">
          {title}
        </h2>
        {failed.length > 0 && (
          <Button variant="ghost" onClick={() => uploadQueue.retryAll()}>
            Retry all
          </Button>
        )}
        {busy && (
          <Button variant="ghost" onClick={() => uploadQueue.cancelAll()}>
            Cancel all
          </Button>
        )}
        <Button
          variant="ghost"
          size="icon"
          aria-label={open ? "Fold the uploads" : "Unfold the uploads"}
          aria-expanded={open}
          onClick={() => setOpen(!open)}
        >
          {open ? <ChevronDown /> : <ChevronUp />}
        </Button>
        {!busy && (
          <Button
            variant="ghost"
            size="icon"
            aria-label="Clear the list"
            onClick={() => uploadQueue.clear()}
          >
            <X />
          </Button>
        )}
      </header>
      {open && (
        <ul tabIndex={0} aria-label="Uploads of this page" className="max-h-64 overflow-y-auto">
          {uploads.toReversed().map((upload) => (
            <UploadRow key={upload.id} upload={upload} />
          ))}
        </ul>
      )}
    </section>
  );
}

function UploadRow({ upload }: { upload: Upload }) {
  const { id, name, size, source, state, progress, error } = upload;
  const fetched = typeof source === "string";
  const said = state === "verifying" && fetched ? "Fetching" : SAID[state];
  const wrong = state === "failed" || state === "refused";
  return (
    <li className="border-b px-4 py-2.5 last:border-b-0">
      <div className="flex items-center gap-3">
        <div className="min-w-0 flex-1">
          <p className="truncate text-sm" title={fetched ? source : name}>
            {name}
          </p>
          <p
            className={cn(
              "text-xs text-muted-foreground tabular-nums",
              wrong && "text-destructive dark:text-red-400",
            )}
          >
            {error ?? (size === null ? said : `${said} · ${formatBytes(size)}`)}
          </p>
        </div>
        {(state === "failed" || state === "cancelled") && (
          <Button
            size="icon"
            variant="ghost"
            aria-label={`Retry ${name}`}
            onClick={() => uploadQueue.retry(id)}
          >
            <RotateCcw />
          </Button>
        )}
        {ACTIVE.includes(state) && (
          <Button
            size="icon"
            variant="ghost"
            aria-label={`Cancel ${name}`}
            onClick={() => uploadQueue.cancel(id)}
          >
            <X />
          </Button>
        )}
      </div>
      {(state === "uploading" || state === "verifying") && (
        <div
          role="progressbar"
          aria-label={`Progress of ${name}`}
          aria-valuemin={0}
          aria-valuemax={100}
          {...(!fetched && { "aria-valuenow": Math.round(progress * 100) })}
          className="mt-2 h-0.5 bg-border"
        >
          <div
            className={cn(
              "h-full bg-accent transition-[width]",
              state === "verifying" && "animate-pulse",
            )}
            style={{ width: fetched ? "100%" : `${Math.max(2, progress * 100)}%` }}
          />
        </div>
      )}
    </li>
  );
}
