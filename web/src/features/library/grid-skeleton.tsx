import { Skeleton } from "@/components/ui/states";

/** The grid or list as it will be, while it loads. */
export function GridSkeleton({ view, count = 15 }: { view: "grid" | "list"; count?: number }) {
  const cells = Array.from({ length: count }, (_, index) => index);
  if (view === "list") {
    return (
      <div role="status" aria-label="Loading files" className="border-t border-l">
        {cells.map((cell) => (
          <div key={cell} className="flex h-[57px] items-center gap-3 border-r border-b px-3">
            <Skeleton className="size-10" />
            <Skeleton className="h-4 w-1/3" />
          </div>
        ))}
      </div>
    );
  }
  return (
    <div
      role="status"
      aria-label="Loading files"
      className="grid grid-cols-2 border-t border-l md:grid-cols-3 lg:grid-cols-4 xl:grid-cols-5"
    >
      {cells.map((cell) => (
        <div key={cell} className="border-r border-b">
          <Skeleton className="aspect-[4/3]" />
          <div className="h-[4.25rem] space-y-2 p-3">
            <Skeleton className="h-4 w-3/4" />
            <Skeleton className="h-3 w-1/2" />
          </div>
        </div>
      ))}
    </div>
  );
}
