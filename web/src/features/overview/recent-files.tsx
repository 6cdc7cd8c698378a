import { Link } from "@tanstack/react-router";
import { FileThumbnail } from "@/features/library/file-thumbnail";
import type { FileResource } from "@/lib/api";
import { formatAgo, formatBytes } from "@/lib/format";
import { trackSpotlight } from "@/lib/spotlight";

/** Places of the last row that no file takes. */
const REST = [1, 2, 3];

/** The last files; each leads to its details in the Library. */
export function RecentFiles({ files }: { files: readonly FileResource[] }) {
  return (
    <ul className="grid grid-cols-2 border-t border-l md:grid-cols-4">
      {files.map((file) => (
        <li key={file.id} onPointerMove={trackSpotlight} className="spotlight border-r border-b">
          <Link
            to="/dashboard/media/files"
            search={{ file: file.id }}
            className="block focus-visible:-outline-offset-2"
          >
            <FileThumbnail file={file} className="aspect-[4/3] w-full" />
            <span className="block border-t p-3">
              <span className="block truncate text-sm">{file.fileName}</span>
              <span className="mt-1 block truncate text-xs text-muted-foreground tabular-nums">
                {formatBytes(file.fileSize)} · {formatAgo(file.createdAt)}
              </span>
            </span>
          </Link>
        </li>
      ))}
      {REST.slice(0, (4 - (files.length % 4)) % 4).map((place) => (
        <li
          key={place}
          aria-hidden
          className="stripes border-r border-b opacity-60 max-md:hidden"
        />
      ))}
      {files.length % 2 === 1 && (
        <li aria-hidden className="stripes border-r border-b opacity-60 md:hidden" />
      )}
    </ul>
  );
}
