import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "@/components/ui/states";
import { fileHistory, type HistoryEntry } from "@/lib/api";
import { formatBytes, formatMoment } from "@/lib/format";

/** `media_file.upload_completed.v1` as people say it: `Upload completed`. */
export function sentenceOf(type: string): string {
  const words = (type.split(".")[1] ?? type).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** `user:user_789` as people call it; a process of the service keeps its kind. */
export function actorOf(actor: string): string {
  return actor.startsWith("user:") ? actor.slice("user:".length) : actor;
}

type Say = (value: never) => string;
const plain: Say = (value: string | number) => String(value);
/** What is worth telling of an event's own fields, in this order. */
const TOLD: Record<string, Say> = {
  file_name: plain,
  file_size: (bytes: number) => formatBytes(bytes),
  mime_type: plain,
  is_public: (isPublic: boolean) => (isPublic ? "public" : "private"),
  source: plain,
  preset: plain,
  format: plain,
  bucket: plain,
  reason: plain,
  code: plain,
  detail: plain,
  bin_until: (at: string) => `kept until ${formatMoment(at)}`,
};

/** The event's own fields in a few words; empty where it has none that matter to people. */
export function detailsOf(data: unknown): string {
  if (typeof data !== "object" || data === null) return "";
  const fields = data as Record<string, never>;
  return Object.entries(TOLD)
    .filter(([name]) => fields[name] !== undefined && fields[name] !== null && fields[name] !== "")
    .map(([name, say]) => say(fields[name] as never))
    .join(" · ");
}

/** What happened to a file, the latest first. */
export function FileHistory({ id }: { id: string }) {
  const { data, error } = useQuery({
    queryKey: ["history", id],
    queryFn: ({ signal }) => fileHistory(id, signal),
    staleTime: 0,
  });
  if (error) return <p className="text-sm text-muted-foreground">{error.message}</p>;
  if (!data) return <Skeleton className="h-16" />;
  return (
    <ol className="border-l border-border">
      {data.toReversed().map((entry) => (
        <Entry key={entry.position} entry={entry} />
      ))}
    </ol>
  );
}

function Entry({ entry }: { entry: HistoryEntry }) {
  const details = detailsOf(entry.data);
  return (
    <li className="relative pb-3 pl-4 last:pb-0">
      <span aria-hidden className="absolute top-1.5 -left-[3px] size-[5px] bg-accent" />
      <p className="text-sm">{sentenceOf(entry.type)}</p>
      {details && <p className="text-xs break-words text-muted-foreground">{details}</p>}
      <p className="text-xs text-muted-foreground tabular-nums">
        {formatMoment(entry.at)} · <span className="font-mono">{actorOf(entry.actor)}</span>
      </p>
    </li>
  );
}
