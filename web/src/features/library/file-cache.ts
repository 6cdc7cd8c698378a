/** What the page knows about files, and how it stays true without asking for whole lists again. */
import { infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { uploadQueue } from "@/features/uploads/use-media-upload";
import { ApiError, type FileResource, fileStats, getFile, listFiles } from "@/lib/api";
import { queryClient } from "@/lib/query-client";
import { say } from "@/lib/toasts";
import { type FileFilter, including, type Pages, without } from "./list-edits";

/** Divisible by every number of columns. */
const PAGE = 60;
const LISTS = ["files"];
const BIN = ["bin"];
const KEPT_PAGES = 5;
const STATS_MS = 1_000;

export const statsQuery = queryOptions({
  queryKey: ["stats"],
  queryFn: ({ signal }) => fileStats(signal),
});

// Comparing a hundred thousand files with themselves takes longer than drawing them.
const LONG = { structuralSharing: false, initialPageParam: null as string | null } as const;

export const filesQuery = (filter: FileFilter, limit = PAGE) =>
  infiniteQueryOptions({
    ...LONG,
    queryKey: [...LISTS, filter, limit] as const,
    queryFn: ({ pageParam, signal }) => {
      const given = Object.entries({ ...filter, cursor: pageParam }).filter(([, value]) => value);
      return listFiles({ limit, ...Object.fromEntries(given) }, signal);
    },
    getNextPageParam: (page) => page.nextCursor,
  });

/** What was deleted and is kept for a while, the last first. */
export const binQuery = (limit = PAGE) =>
  infiniteQueryOptions({
    ...LONG,
    queryKey: [...BIN, limit] as const,
    queryFn: ({ pageParam, signal }) =>
      listFiles(
        { status: "deleted", limit, ...(pageParam === null ? {} : { cursor: pageParam }) },
        signal,
      ),
    getNextPageParam: (page) => page.nextCursor,
    // Others fill and empty it, and nothing tells of that.
    staleTime: 0,
  });

export const fileQuery = (id: string) =>
  queryOptions({ queryKey: ["file", id], queryFn: ({ signal }) => getFile(id, signal) });

/** Take files out of every list on screen. */
export function forget(ids: Iterable<string>): void {
  const gone = new Set(ids);
  queryClient.setQueriesData<Pages>({ queryKey: LISTS }, (list) => list && without(list, gone));
  for (const id of gone) queryClient.removeQueries({ queryKey: ["file", id], type: "inactive" });
  void queryClient.invalidateQueries({ queryKey: BIN });
  countAgain();
}

/** Take files out of the bin that is on screen. */
export function forgetBinned(ids: Iterable<string>): void {
  const gone = new Set(ids);
  queryClient.setQueriesData<Pages>({ queryKey: BIN }, (list) => list && without(list, gone));
}

/** Show files as they are now in every list that they belong to. */
export function show(files: Iterable<FileResource>): void {
  const now = new Map([...files].map((file) => [file.id, file]));
  if (now.size === 0) return;
  for (const [key, list] of queryClient.getQueriesData<Pages>({ queryKey: LISTS })) {
    if (list) queryClient.setQueryData<Pages>(key, including(list, key[1] as FileFilter, now));
  }
  for (const [id, file] of now) {
    mine.delete(id);
    if (queryClient.getQueryData(["file", id])) queryClient.setQueryData(["file", id], file);
    void queryClient.invalidateQueries({ queryKey: ["history", id] });
  }
  forgetBinned(now.keys());
  countAgain();
}

let counting: ReturnType<typeof setTimeout> | undefined;

/** Ask for the figures again, once for everything that happens within a second. */
function countAgain(): void {
  if (counting !== undefined) return;
  counting = setTimeout(() => {
    counting = undefined;
    void queryClient.invalidateQueries({ queryKey: statsQuery.queryKey });
  }, STATS_MS);
}

const mine = new Set<string>();

/** This page is about to remove them: then it is no news that they go. */
export function mineToRemove(ids: Iterable<string>): void {
  for (const id of ids) mine.add(id);
}

/** Files left the library: they leave the screen, and if somebody else did it, the page says so. */
export function left(ids: ReadonlySet<string>): void {
  const known = new Map<string, FileResource>();
  for (const [, list] of queryClient.getQueriesData<Pages>({ queryKey: LISTS })) {
    for (const page of list?.pages ?? []) {
      for (const file of page.items) if (ids.has(file.id)) known.set(file.id, file);
    }
  }
  forget(ids);
  for (const listener of leaving) listener(ids);
  tellOf([...known.values()]);
}

const leaving = new Set<(ids: ReadonlySet<string>) => void>();

/** Hear of files that leave the library, whoever did it. */
export function onLeft(listener: (ids: ReadonlySet<string>) => void): () => void {
  leaving.add(listener);
  return () => leaving.delete(listener);
}

/** Nobody knows what changed: ask again, of a long list only for its beginning. */
export function listAnew(): void {
  queryClient.setQueriesData<Pages>({ queryKey: LISTS }, (list) =>
    list && list.pages.length > KEPT_PAGES
      ? { pages: list.pages.slice(0, KEPT_PAGES), pageParams: list.pageParams.slice(0, KEPT_PAGES) }
      : list,
  );
  for (const queryKey of [LISTS, BIN, ["file"]]) void queryClient.invalidateQueries({ queryKey });
  countAgain();
}

/** A file that was on screen is gone: somebody else deleted it. */
export function forgetMissing(file: Pick<FileResource, "id" | "fileName">): void {
  forget([file.id]);
  tellOf([file]);
}

function tellOf(gone: readonly Pick<FileResource, "id" | "fileName">[]): void {
  const news = gone.filter((file) => !mine.has(file.id));
  for (const file of news) mine.add(file.id);
  const [only] = news;
  if (news.length === 1 && only) say(`“${only.fileName}” was deleted meanwhile.`);
  else if (only) say(`${news.length} files were deleted meanwhile.`);
}

/** Ask whether a file whose picture does not load is still there. */
export async function isPresent(file: FileResource): Promise<boolean> {
  try {
    await getFile(file.id);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 404)) return true;
    forgetMissing(file);
    return false;
  }
  return true;
}

/** Let finished uploads appear in the lists. */
export function watchUploads(): () => void {
  return uploadQueue.onDone((file) => show([file]));
}
