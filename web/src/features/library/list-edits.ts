/** Edits to the pages of a list that is on screen, so that none has to be asked for again. */
import type { InfiniteData } from "@tanstack/react-query";
import type { Category, FileList, FileResource, ListQuery } from "@/lib/api";

export type Sort = NonNullable<ListQuery["sort"]>;

/** Which files, and in which order. */
export interface FileFilter {
  type?: Category | undefined;
  service?: string | undefined;
  search?: string | undefined;
  sort?: Sort | undefined;
}

export type Pages = InfiniteData<FileList, string | null>;

/** Near enough to the service's case folding for what happens to be on screen. */
const fold = (text: string) => text.normalize("NFC").toLowerCase().replaceAll("ß", "ss");

/** Whether the file is one of those that the filter lets through. */
export function belongs(file: FileResource, filter: FileFilter): boolean {
  return (
    (filter.type ?? file.category) === file.category &&
    (filter.service ?? file.serviceCode) === file.serviceCode &&
    fold(file.fileName).includes(fold(filter.search ?? ""))
  );
}

function compare(left: FileResource, right: FileResource, sort: Sort): number {
  const descending = sort.startsWith("-");
  const field = (descending ? sort.slice(1) : sort) as "createdAt" | "fileName" | "fileSize";
  const [a, b] =
    field === "fileName"
      ? [fold(left.fileName), fold(right.fileName)]
      : [left[field], right[field]];
  const order = a < b ? -1 : a > b ? 1 : left.id < right.id ? -1 : left.id > right.id ? 1 : 0;
  return descending ? -order : order;
}

/** The pages without these files; the same object when none of them is there. */
export function without(pages: Pages, gone: ReadonlySet<string>): Pages {
  let changed = false;
  const kept = pages.pages.map((page) => {
    if (!page.items.some((file) => gone.has(file.id))) return page;
    changed = true;
    return { ...page, items: page.items.filter((file) => !gone.has(file.id)) };
  });
  return changed ? { ...pages, pages: kept } : pages;
}

/**
 * The pages with these files as they are now: in their places if they are there already, else where
 * the order puts them, unless that is behind what was loaded so far.
 */
export function including(
  pages: Pages,
  filter: FileFilter,
  files: ReadonlyMap<string, FileResource>,
): Pages {
  const missing = new Map([...files].filter(([, file]) => belongs(file, filter)));
  const fresh = pages.pages.map((page) => {
    if (!page.items.some((file) => files.has(file.id))) return page;
    const items = page.items.flatMap((file) => {
      const now = files.get(file.id) ?? file;
      missing.delete(file.id);
      return belongs(now, filter) ? [now] : [];
    });
    return { ...page, items };
  });
  const sort = filter.sort ?? "-createdAt";
  for (const file of missing.values()) {
    const at = fresh.findIndex((page, index) => {
      const last = page.items.at(-1);
      const end = index === fresh.length - 1 && page.nextCursor === null;
      return end || (last !== undefined && compare(file, last, sort) < 0);
    });
    const page = fresh[at];
    if (!page) continue;
    const before = page.items.findIndex((one) => compare(file, one, sort) < 0);
    const items = page.items.toSpliced(before === -1 ? page.items.length : before, 0, file);
    fresh[at] = { ...page, items };
  }
  return { ...pages, pages: fresh };
}
