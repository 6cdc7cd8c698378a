import { Upload } from "lucide-react";
import type { FileResource } from "@/lib/api";
import { formatAgo, formatMoment } from "@/lib/format";

/** Who added what, the latest first. */
export function RecentActivity({ files }: { files: readonly FileResource[] }) {
  return (
    <ol className="border-t">
      {files.map((file) => (
        <li key={file.id} className="flex items-center gap-3 border-b py-2.5">
          <span className="flex size-8 shrink-0 items-center justify-center border bg-card">
            <Upload aria-hidden className="size-3.5" strokeWidth={1.5} />
          </span>
          <p className="min-w-0 flex-1 truncate text-sm">
            <span className="font-mono text-xs">{file.uploadedBy}</span>
            <span className="text-muted-foreground"> uploaded </span>
            {file.fileName}
          </p>
          <time
            dateTime={file.createdAt}
            title={formatMoment(file.createdAt)}
            className="shrink-0 text-xs text-muted-foreground tabular-nums"
          >
            {formatAgo(file.createdAt)}
          </time>
        </li>
      ))}
    </ol>
  );
}
