import { useInfiniteQuery } from "@tanstack/react-query";
import { Trash2, Upload } from "lucide-react";
import { SectionHeading } from "@/components/ui/heading";
import { binQuery } from "@/features/library/file-cache";
import { useCan } from "@/features/session/session";
import type { FileResource } from "@/lib/api";
import { formatAgo, formatMoment } from "@/lib/format";

const SHOWN = 8;
const KINDS = {
  uploaded: { icon: Upload, said: "uploaded" },
  deleted: { icon: Trash2, said: "deleted" },
};

interface Activity {
  kind: keyof typeof KINDS;
  who: string;
  at: string;
  file: FileResource;
}

/** What was uploaded and what was deleted, the latest first. */
export function activities(
  uploaded: readonly FileResource[],
  deleted: readonly FileResource[],
): Activity[] {
  return [
    ...uploaded.map((file): Activity => {
      return { kind: "uploaded", who: file.uploadedBy, at: file.createdAt, file };
    }),
    ...deleted.flatMap((file): Activity[] =>
      file.deletedAt
        ? [{ kind: "deleted", who: file.deletedBy ?? "Somebody", at: file.deletedAt, file }]
        : [],
    ),
  ]
    .sort((left, right) => right.at.localeCompare(left.at))
    .slice(0, SHOWN);
}

/** Who did what of late; deletions only for those who may look into the bin. */
export function RecentActivity({ files }: { files: readonly FileResource[] }) {
  const canWrite = useCan("media:files.write");
  const bin = useInfiniteQuery({ ...binQuery(SHOWN), enabled: canWrite });
  const shown = activities(files, bin.data?.pages[0]?.items ?? []);
  if (shown.length === 0) return null;
  return (
    <section className="space-y-4">
      <SectionHeading number={3}>Recent activity</SectionHeading>
      <ol className="border-t">
        {shown.map(({ kind, who, at, file }) => {
          const { icon: Icon, said } = KINDS[kind];
          return (
            <li key={`${kind} ${file.id}`} className="flex items-center gap-3 border-b py-2.5">
              <span className="flex size-8 shrink-0 items-center justify-center border bg-card">
                <Icon aria-hidden className="size-3.5" strokeWidth={1.5} />
              </span>
              <p className="min-w-0 flex-1 truncate text-sm">
                <span className="font-mono text-xs">{who}</span>
                <span className="text-muted-foreground"> {said} </span>
                {file.fileName}
              </p>
              <time
                dateTime={at}
                title={formatMoment(at)}
                className="shrink-0 text-xs text-muted-foreground tabular-nums"
              >
                {formatAgo(at)}
              </time>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
