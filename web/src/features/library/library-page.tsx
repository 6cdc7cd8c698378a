import { useInfiniteQuery, useQuery } from "@tanstack/react-query";
import { FolderOpen, SearchX } from "lucide-react";
import { useCallback, useEffect, useMemo, useState } from "react";
import { Button } from "@/components/ui/button";
import { SectionHeading } from "@/components/ui/heading";
import { EmptyState, ErrorState } from "@/components/ui/states";
import { useCan } from "@/features/session/session";
import { UploadButton } from "@/features/uploads/upload-button";
import { UploadZone } from "@/features/uploads/upload-zone";
import { uploadQueue } from "@/features/uploads/use-media-upload";
import type { FileResource } from "@/lib/api";
import { cn } from "@/lib/cn";
import { formatCount } from "@/lib/format";
import { BulkBar } from "./bulk-bar";
import { DeleteDialog } from "./delete-dialog";
import { DetailSheet } from "./detail-sheet";
import { filesQuery, statsQuery } from "./file-cache";
import { FileGrid } from "./file-grid";
import { FilterBar } from "./filter-bar";
import { GridSkeleton } from "./grid-skeleton";
import type { LibrarySearch } from "./library-search";
import { everything, keepOnly, NOTHING } from "./selection";

interface Props {
  search: LibrarySearch;
  onSearch: (change: Partial<LibrarySearch>) => void;
}

const focusGrid = () =>
  document.querySelector<HTMLElement>("[role=gridcell][tabindex='0']")?.focus();

/** Every file of the workspace (spec 12.1). */
export function LibraryPage({ search, onSearch }: Props) {
  const { type, service, search: text, sort, view = "grid" } = search;
  const list = useInfiniteQuery({
    ...filesQuery({ type, service, search: text, sort }),
    placeholderData: (before) => before,
  });
  const files = useMemo(() => list.data?.pages.flatMap((page) => page.items) ?? [], [list.data]);
  const canWrite = useCan("media:files.write");
  const [selection, setSelection] = useState(NOTHING);
  const [deleting, setDeleting] = useState<readonly FileResource[] | null>(null);
  // Without a selection a long list costs nothing here.
  const chosen = useMemo(
    () =>
      selection.ids.size === 0
        ? selection
        : keepOnly(selection, new Set(files.map((file) => file.id))),
    [selection, files],
  );
  const chosenFiles = useMemo(
    () => files.filter((file) => chosen.ids.has(file.id)),
    [files, chosen],
  );

  const selectAll = useCallback(
    () =>
      setSelection((now) =>
        everything(
          now,
          files.map((file) => file.id),
        ),
      ),
    [files],
  );
  const close = useCallback(() => onSearch({ file: undefined }), [onSearch]);
  useEffect(() => {
    const keyed = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      const elsewhere =
        event.defaultPrevented || target.closest("input, textarea, select, [role=alertdialog]");
      if (elsewhere) return;
      if (event.key === "Escape") setSelection(NOTHING);
      if (event.key === "a" && (event.ctrlKey || event.metaKey) && canWrite) {
        event.preventDefault();
        selectAll();
      }
    };
    window.addEventListener("keydown", keyed);
    return () => window.removeEventListener("keydown", keyed);
  }, [selectAll, canWrite]);

  const { hasNextPage, isFetchingNextPage, isFetchNextPageError, fetchNextPage } = list;
  const more = useCallback(() => {
    if (!isFetchingNextPage) void fetchNextPage();
  }, [isFetchingNextPage, fetchNextPage]);

  const at = files.findIndex((file) => file.id === search.file);
  const step = (by: 1 | -1) => {
    const next = files[at + by];
    if (next) onSearch({ file: next.id });
  };
  const filtered = Boolean(type ?? service ?? text);
  const total = useQuery(statsQuery).data?.totalFiles;
  const shown = hasNextPage ? (filtered ? undefined : total) : files.length;
  const count =
    list.isSuccess &&
    (shown === undefined ? `${formatCount(files.length)}+ files` : `${formatCount(shown)} files`);
  return (
    <div
      className={cn("space-y-6 animate-in fade-in duration-500", search.file && "xl:mr-[24.5rem]")}
    >
      <h1 className="sr-only">Media library</h1>
      <SectionHeading number={2} aside={<span className="label-caps tabular-nums">{count}</span>}>
        Library
      </SectionHeading>
      {canWrite && <UploadZone serviceCode={service ?? "workspace"} />}
      <FilterBar search={search} onChange={onSearch} />
      {list.isPending ? (
        <GridSkeleton view={view} />
      ) : list.isError && files.length === 0 ? (
        <ErrorState error={list.error} onRetry={() => void list.refetch()} />
      ) : files.length === 0 ? (
        filtered ? (
          <EmptyState
            icon={SearchX}
            title="No file matches"
            action={
              <Button
                variant="solid"
                size="md"
                onClick={() => onSearch({ type: undefined, service: undefined, search: undefined })}
              >
                Show all files
              </Button>
            }
          >
            Try another part of the name, or fewer filters.
          </EmptyState>
        ) : (
          <EmptyState
            icon={FolderOpen}
            title="Nothing here yet"
            action={
              canWrite && (
                <UploadButton onFiles={(chosen) => uploadQueue.add(chosen, "workspace")} />
              )
            }
          >
            {canWrite
              ? "Drop images, videos or PDFs anywhere on this page; they appear here at once."
              : "Files that your workspace uploads appear here."}
          </EmptyState>
        )
      ) : (
        <div className={cn("transition-opacity", list.isPlaceholderData && "opacity-50")}>
          <FileGrid
            files={files}
            view={view}
            selection={chosen}
            onSelect={setSelection}
            onOpen={(file) => onSearch({ file: file.id })}
            onDelete={setDeleting}
            openId={search.file}
            canWrite={canWrite}
            hasMore={hasNextPage && !isFetchNextPageError}
            onMore={more}
          />
          <div className="flex h-16 items-center justify-center" role="status">
            {isFetchNextPageError ? (
              <Button onClick={more}>Loading more failed. Try again</Button>
            ) : (
              <span className="label-caps">
                {isFetchingNextPage ? "Loading more …" : hasNextPage ? "" : "End of the library"}
              </span>
            )}
          </div>
        </div>
      )}
      {canWrite && (
        <BulkBar
          files={chosenFiles}
          onClear={() => setSelection(NOTHING)}
          onAll={selectAll}
          onDelete={() => setDeleting(chosenFiles)}
        />
      )}
      <DetailSheet
        id={search.file}
        known={files[at]}
        canWrite={canWrite}
        onClose={close}
        onDelete={(file) => setDeleting([file])}
        onStep={step}
        onClosed={focusGrid}
      />
      <DeleteDialog
        files={deleting}
        onClose={() => setDeleting(null)}
        onDeleted={() => {
          setSelection(NOTHING);
          if (deleting?.some((file) => file.id === search.file)) close();
        }}
        onFocusLost={focusGrid}
      />
    </div>
  );
}
