import { Skeleton } from "@/components/ui/states";
import type { StorageStats } from "@/lib/api";
import { formatBytes, formatCount } from "@/lib/format";
import { trackSpotlight } from "@/lib/spotlight";

/** The four figures of spec 12.1. */
export function StatsBar({ stats }: { stats: StorageStats | undefined }) {
  const types = stats?.byType;
  const cells = [
    { label: "Total files", value: stats && formatCount(stats.totalFiles) },
    { label: "Storage used", value: stats && formatBytes(stats.totalBytes) },
    { label: "Images", value: types && formatCount(types.image?.files ?? 0) },
    {
      label: "Videos / Docs",
      value:
        types &&
        `${formatCount(types.video?.files ?? 0)} / ${formatCount(types.document?.files ?? 0)}`,
    },
  ];
  return (
    <dl className="grid grid-cols-2 border-t border-l lg:grid-cols-4">
      {cells.map((cell) => (
        <div
          key={cell.label}
          onPointerMove={trackSpotlight}
          className="spotlight flex flex-col gap-3 border-r border-b p-4 md:p-5"
        >
          <dt className="label-caps">{cell.label}</dt>
          <dd className="text-2xl font-medium tracking-tight whitespace-nowrap tabular-nums md:text-3xl">
            {cell.value ?? <Skeleton className="h-9 w-20" />}
          </dd>
        </div>
      ))}
    </dl>
  );
}
