import { useInfiniteQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { Lock, RotateCcw, Trash2 } from "lucide-react";
import { useEffect, useMemo, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { Checkbox } from "@/components/ui/checkbox";
import { ConfirmDialog } from "@/components/ui/confirm-dialog";
import { SectionHeading } from "@/components/ui/heading";
import { EmptyState, ErrorState } from "@/components/ui/states";
import { binQuery } from "@/features/library/file-cache";
import { GridSkeleton } from "@/features/library/grid-skeleton";
import { everything, extend, keepOnly, NOTHING, toggle } from "@/features/library/selection";
import { nameOf } from "@/features/library/use-deletion";
import { useCan } from "@/features/session/session";
import type { FileResource } from "@/lib/api";
import { formatCount } from "@/lib/format";
import { useBox } from "@/lib/hooks";
import { BinRow, type RowActions } from "./bin-row";
import { usePurge, useRestore } from "./use-bin";

const ROW = 57;

/** What was deleted and can still be brought back. */
export function BinPage() {
  const canWrite = useCan("media:files.write");
  return (
    <div className="space-y-6 animate-in fade-in duration-500">
      <h1 className="sr-only">Bin</h1>
      {canWrite ? (
        <Bin />
      ) : (
        <>
          <SectionHeading number={3}>Bin</SectionHeading>
          <EmptyState icon={Lock} title="The bin is for those who may delete">
            It needs the permission “media:files.write”. Ask the owner of your workspace for it.
          </EmptyState>
        </>
      )}
    </div>
  );
}

function Bin() {
  const list = useInfiniteQuery(binQuery());
  const files = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const count =
    list.isSuccess && `${formatCount(files.length)}${list.hasNextPage ? "+" : ""} files`;
  return (
    <>
      <SectionHeading number={3} aside={<span className="label-caps tabular-nums">{count}</span>}>
        Bin
      </SectionHeading>
      {list.isPending ? (
        <GridSkeleton view="list" />
      ) : list.isError && files.length === 0 ? (
        <ErrorState error={list.error} onRetry={() => void list.refetch()} />
      ) : files.length === 0 ? (
        <EmptyState
          icon={Trash2}
          title="The bin is empty"
          action={
            <Button variant="solid" size="md" asChild>
              <Link to="/dashboard/media/files">To the library</Link>
            </Button>
          }
        >
          Deleted files stay here for a while, so that nothing is lost by mistake.
        </EmptyState>
      ) : (
        <BinList
          files={files}
          hasMore={list.hasNextPage && !list.isFetchNextPageError}
          onMore={() => !list.isFetchingNextPage && void list.fetchNextPage()}
        />
      )}
    </>
  );
}

interface ListProps {
  files: readonly FileResource[];
  hasMore: boolean;
  onMore: () => void;
}

function BinList({ files, hasMore, onMore }: ListProps) {
  const isOwner = useCan("system:owner");
  const restore = useRestore();
  const purge = usePurge();
  const [selection, setSelection] = useState(NOTHING);
  const [purging, setPurging] = useState<readonly FileResource[] | null>(null);
  const chosen = useMemo(
    () => keepOnly(selection, new Set(files.map((file) => file.id))),
    [selection, files],
  );
  const chosenFiles = files.filter((file) => chosen.ids.has(file.id));
  const order = useRef<readonly string[]>([]);
  order.current = files.map((file) => file.id);
  const { mutate: bringBack } = restore;
  const actions = useMemo<RowActions>(
    () => ({
      toggle: (file, event) =>
        setSelection((now) =>
          event.shiftKey ? extend(now, order.current, file.id) : toggle(now, file.id),
        ),
      restore: (file) => bringBack([file]),
      purge: isOwner ? (file) => setPurging([file]) : undefined,
    }),
    [bringBack, isOwner],
  );

  const element = useRef<HTMLUListElement>(null);
  const { top } = useBox(element);
  const virtualizer = useWindowVirtualizer({
    count: files.length,
    estimateSize: () => ROW,
    overscan: 8,
    scrollMargin: top,
  });
  const rows = virtualizer.getVirtualItems();
  const last = rows.at(-1)?.index ?? 0;
  useEffect(() => {
    if (hasMore && last >= files.length - 10) onMore();
  }, [hasMore, last, files.length, onMore]);

  const all = chosenFiles.length === files.length;
  const busy = restore.isPending || purge.isPending;
  return (
    <>
      <div className="flex min-h-9 flex-wrap items-center gap-3 px-3">
        <Checkbox
          aria-label="Select all"
          checked={all ? true : chosenFiles.length > 0 ? "indeterminate" : false}
          onCheckedChange={() => setSelection(all ? NOTHING : everything(NOTHING, order.current))}
        />
        <p role="status" className="flex-1 text-sm text-muted-foreground tabular-nums">
          {chosenFiles.length > 0
            ? `${formatCount(chosenFiles.length)} selected`
            : "What is here can be brought back until its time is over."}
        </p>
        {chosenFiles.length > 0 && (
          <>
            <Button variant="solid" disabled={busy} onClick={() => bringBack(chosenFiles)}>
              <RotateCcw /> Restore selected
            </Button>
            {isOwner && (
              <Button variant="destructive" disabled={busy} onClick={() => setPurging(chosenFiles)}>
                <Trash2 /> Delete for good
              </Button>
            )}
          </>
        )}
      </div>
      <ul
        ref={element}
        aria-label="Deleted files"
        className="relative border-t border-l"
        style={{ height: virtualizer.getTotalSize() }}
      >
        {rows.map((row) => {
          const file = files[row.index];
          return (
            file && (
              <li
                key={file.id}
                aria-setsize={hasMore ? -1 : files.length}
                aria-posinset={row.index + 1}
                className="absolute inset-x-0 top-0"
                style={{
                  height: row.size,
                  transform: `translateY(${row.start - virtualizer.options.scrollMargin}px)`,
                }}
              >
                <BinRow file={file} selected={chosen.ids.has(file.id)} actions={actions} />
              </li>
            )
          );
        })}
      </ul>
      <ConfirmDialog
        open={purging !== null}
        onOpenChange={(open) => !open && setPurging(null)}
        title={`Delete ${nameOf(purging ?? [])} for good?`}
        action="Delete for good"
        onConfirm={() => purging && purge.mutate(purging)}
      >
        Nobody can bring {purging?.length === 1 ? "it" : "them"} back after this, not even we.
      </ConfirmDialog>
    </>
  );
}
