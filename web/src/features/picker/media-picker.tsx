import { useInfiniteQuery } from "@tanstack/react-query";
import { SearchX } from "lucide-react";
import { type KeyboardEvent, useRef, useState } from "react";
import { Button } from "@/components/ui/button";
import { SearchField } from "@/components/ui/search-field";
import { Segments } from "@/components/ui/segments";
import { Sheet, SheetContent } from "@/components/ui/sheet";
import { EmptyState, ErrorState, Skeleton } from "@/components/ui/states";
import { DeleteDialog } from "@/features/library/delete-dialog";
import { filesQuery } from "@/features/library/file-cache";
import { nextIndex } from "@/features/library/grid-keys";
import { useCan } from "@/features/session/session";
import { UploadZone } from "@/features/uploads/upload-zone";
import type { FileResource } from "@/lib/api";
import { useMedia } from "@/lib/hooks";
import { PickerCard } from "./picker-card";

const TABS = [
  { value: "all", label: "All" },
  { value: "image", label: "Images" },
  { value: "video", label: "Videos" },
] as const;
const PAGE = 24;

interface Props {
  open: boolean;
  onOpenChange: (open: boolean) => void;
  /** The chosen file. Keep its `id`; its `url` is for showing it now. */
  onPick: (file: FileResource) => void;
  /** The application that uploads from inside the picker. */
  serviceCode: string;
  title?: string;
  /** What is shown first; with `only`, nothing else can be. */
  type?: "image" | "video";
  only?: boolean;
}

/** Choose a file of the workspace, or upload one: for the blog editor and every other application. */
export function MediaPicker({ open, onOpenChange, title = "Choose media", ...rest }: Props) {
  const pick = (file: FileResource) => {
    rest.onPick(file);
    onOpenChange(false);
  };
  return (
    <Sheet open={open} onOpenChange={onOpenChange}>
      <SheetContent title={title} className="max-w-2xl">
        <PickerBody {...rest} onPick={pick} />
      </SheetContent>
    </Sheet>
  );
}

function PickerBody({
  onPick,
  serviceCode,
  type,
  only = false,
}: Omit<Props, "open" | "onOpenChange" | "title">) {
  const [tab, setTab] = useState<"all" | "image" | "video">(type ?? "all");
  const [search, setSearch] = useState("");
  const [deleting, setDeleting] = useState<FileResource | null>(null);
  const [active, setActive] = useState(0);
  const canWrite = useCan("media:files.write");
  const columns = useMedia("(min-width: 640px)") ? 4 : 2;
  const list = useInfiniteQuery(
    filesQuery({ type: tab === "all" ? undefined : tab, search: search || undefined }, PAGE),
  );
  const files = list.data?.pages.flatMap((page) => page.items) ?? [];

  const scroller = useRef<HTMLElement>(null);
  const focus = (index: number) => {
    setActive(index);
    scroller.current?.querySelectorAll<HTMLElement>("[data-pick]")[index]?.focus();
  };
  const focusReachable = () =>
    scroller.current?.querySelector<HTMLElement>("[data-pick][tabindex='0']")?.focus();
  const keyed = (event: KeyboardEvent<HTMLElement>) => {
    const file = files[active];
    if (event.key === "Delete" && canWrite && file) return setDeleting(file);
    const next = nextIndex(event.key, active, columns, files.length);
    if (next === null) return;
    event.preventDefault();
    focus(next);
  };
  const more = async () => {
    const before = files.length;
    await list.fetchNextPage();
    // Whoever came by keyboard goes on at the first new one.
    requestAnimationFrame(() => focus(before));
  };
  return (
    <div className="flex min-h-0 flex-1 flex-col gap-3 overflow-y-auto p-4">
      {canWrite && <UploadZone serviceCode={serviceCode} className="p-3" />}
      <div className="flex flex-wrap gap-2">
        {!only && <Segments label="Type" value={tab} options={TABS} onChange={setTab} />}
        <SearchField value={search} onChange={setSearch} className="min-w-44 flex-1" />
      </div>
      <section
        ref={scroller}
        tabIndex={0}
        aria-label="Files to choose from"
        className="h-[400px] shrink-0 overflow-y-auto border"
      >
        {list.isPending ? (
          <div role="status" aria-label="Loading files" className="grid grid-cols-2 sm:grid-cols-4">
            {Array.from({ length: 12 }, (_, index) => index).map((place) => (
              <Skeleton key={place} className="aspect-square border-r border-b border-background" />
            ))}
          </div>
        ) : list.isError && files.length === 0 ? (
          <ErrorState error={list.error} onRetry={() => void list.refetch()} />
        ) : files.length === 0 ? (
          <EmptyState
            icon={SearchX}
            title={search ? "No file matches" : "Nothing here yet"}
            className="h-full border-0"
          >
            {search
              ? "Try another part of the name."
              : "Upload something; it appears here at once."}
          </EmptyState>
        ) : (
          <ul className="grid grid-cols-2 sm:grid-cols-4" onKeyDown={keyed}>
            {files.map((file, index) => (
              <PickerCard
                key={file.id}
                file={file}
                reachable={index === Math.min(active, files.length - 1)}
                onFocus={() => setActive(index)}
                onPick={() => onPick(file)}
                onDelete={canWrite ? () => setDeleting(file) : undefined}
              />
            ))}
          </ul>
        )}
        {list.hasNextPage && (
          <div className="flex justify-center p-4">
            <Button disabled={list.isFetchingNextPage} onClick={() => void more()}>
              {list.isFetchingNextPage ? "Loading …" : "Load more"}
            </Button>
          </div>
        )}
      </section>
      <p className="text-xs text-muted-foreground">
        Arrow keys move, Enter chooses{canWrite ? ", Delete deletes" : ""}.
      </p>
      <DeleteDialog
        files={deleting && [deleting]}
        onClose={() => setDeleting(null)}
        onFocusLost={focusReachable}
      />
    </div>
  );
}
