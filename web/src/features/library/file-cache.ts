/** Keeps what is on screen true after an upload or a delete, without asking for the whole list again. */
import { type InfiniteData, infiniteQueryOptions, queryOptions } from "@tanstack/react-query";
import { uploadQueue } from "@/features/uploads/use-media-upload";
import {
  ApiError,
  type Category,
  type FileList,
  type FileResource,
  fileStats,
  getFile,
  type ListQuery,
  listFiles,
} from "@/lib/api";
import { queryClient } from "@/lib/query-client";
import { say } from "@/lib/toasts";

export type Sort = NonNullable<ListQuery["sort"]>;

/** Which files, and in which order. */
export interface FileFilter {
  type?: Category | undefined;
  service?: string | undefined;
  search?: string | undefined;
  sort?: Sort | undefined;
}

/** Divisible by every number of columns. */
const PAGE = 60;
const LISTS = ["files"];
export const statsQuery = queryOptions({
  queryKey: ["stats"],
  queryFn: ({ signal }) => fileStats(signal),
});

export const filesQuery = (filter: FileFilter, limit = PAGE) =>
  infiniteQueryOptions({
    queryKey: [...LISTS, filter, limit] as const,
    queryFn: ({ pageParam, signal }) => {
      const given = Object.entries({ ...filter, cursor: pageParam }).filter(([, value]) => value);
      return listFiles({ limit, ...Object.fromEntries(given) }, signal);
    },
    initialPageParam: null as string | null,
    getNextPageParam: (page) => page.nextCursor,
  });

export const fileQuery = (id: string) =>
  queryOptions({ queryKey: ["file", id], queryFn: ({ signal }) => getFile(id, signal) });

type Pages = InfiniteData<FileList, string | null>;

/** Take files out of every list on screen. */
export function forget(ids: Iterable<string>): void {
  const gone = new Set(ids);
  queryClient.setQueriesData<Pages>(
    { queryKey: LISTS },
    (list) =>
      list && {
        ...list,
        pages: list.pages.map((page) => ({
          ...page,
          items: page.items.filter((file) => !gone.has(file.id)),
        })),
      },
  );
  for (const id of gone) queryClient.removeQueries({ queryKey: ["file", id], type: "inactive" });
  void queryClient.invalidateQueries({ queryKey: statsQuery.queryKey });
}

/** A file that was on screen is gone: somebody else deleted it. */
export function forgetMissing(file: Pick<FileResource, "id" | "fileName">): void {
  forget([file.id]);
  say(`“${file.fileName}” was deleted meanwhile.`);
}

/** Ask whether a file whose picture does not load is still there. */
export async function checkPresence(file: FileResource): Promise<void> {
  try {
    await getFile(file.id);
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) forgetMissing(file);
  }
}

function belongs(file: FileResource, filter: FileFilter): boolean {
  return (
    (filter.type ?? file.category) === file.category &&
    (filter.service ?? file.serviceCode) === file.serviceCode &&
    file.fileName.toLowerCase().includes((filter.search ?? "").toLowerCase())
  );
}

/** Show a file that has just arrived on top of the lists it belongs to. */
function arrived(file: FileResource): void {
  for (const [key, list] of queryClient.getQueriesData<Pages>({ queryKey: LISTS })) {
    const filter = key[1] as FileFilter;
    const newestFirst = (filter.sort ?? "-createdAt") === "-createdAt";
    const [first, ...rest] = list?.pages ?? [];
    if (!list || !first || !belongs(file, filter)) continue;
    if (newestFirst) {
      const items = [file, ...first.items.filter((one) => one.id !== file.id)];
      queryClient.setQueryData<Pages>(key, { ...list, pages: [{ ...first, items }, ...rest] });
    } else {
      // Its place may lie on any page; only a short list is asked for again at once.
      const refetchType = rest.length === 0 ? "active" : "none";
      void queryClient.invalidateQueries({ queryKey: key, refetchType });
    }
  }
  void queryClient.invalidateQueries({ queryKey: statsQuery.queryKey });
}

/** Let finished uploads appear in the lists. */
export function watchUploads(): () => void {
  return uploadQueue.onDone(arrived);
}
