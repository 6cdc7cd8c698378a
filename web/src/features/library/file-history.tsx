import { useQuery } from "@tanstack/react-query";
import { Skeleton } from "@/components/ui/states";
import { fileHistory } from "@/lib/api";
import { formatMoment } from "@/lib/format";

/** `media_file.upload_completed.v1` as people say it: `Upload completed`. */
export function sentenceOf(type: string): string {
  const words = (type.split(".")[1] ?? type).replaceAll("_", " ");
  return words.charAt(0).toUpperCase() + words.slice(1);
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
        <li key={entry.position} className="relative pb-3 pl-4 last:pb-0">
          <span aria-hidden className="absolute top-1.5 -left-[3px] size-[5px] bg-accent" />
          <p className="text-sm">{sentenceOf(entry.type)}</p>
          <p className="text-xs text-muted-foreground tabular-nums">
            {formatMoment(entry.at)} · <span className="font-mono">{entry.actor}</span>
          </p>
        </li>
      ))}
    </ol>
  );
}
