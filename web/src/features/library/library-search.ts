import type { Category } from "@/lib/api";
import type { FileFilter, Sort } from "./list-edits";

/** What the address of the Library says: reload, back and a shared link show the same. */
export interface LibrarySearch extends FileFilter {
  view?: "list" | undefined;
  /** The file whose details are open. */
  file?: string | undefined;
}

export const CATEGORIES: readonly { value: Category; label: string }[] = [
  { value: "image", label: "Images" },
  { value: "video", label: "Videos" },
  { value: "document", label: "Documents" },
];
export const SORTS: readonly { value: Sort; label: string }[] = [
  { value: "-createdAt", label: "Newest first" },
  { value: "createdAt", label: "Oldest first" },
  { value: "fileName", label: "Name A–Z" },
  { value: "-fileName", label: "Name Z–A" },
  { value: "-fileSize", label: "Largest first" },
  { value: "fileSize", label: "Smallest first" },
];

const oneOf = <T extends string>(value: unknown, all: readonly { value: T }[]): T | undefined =>
  all.find((one) => one.value === value)?.value;
const text = (value: unknown): string | undefined =>
  value === undefined || value === null || value === "" ? undefined : String(value).slice(0, 255);

/** The known part of an address; what is wrong in it is left out. */
export function readSearch(raw: Record<string, unknown>): LibrarySearch {
  const service = text(raw.service);
  const file = text(raw.file);
  return {
    type: oneOf(raw.type, CATEGORIES),
    service: service && /^[a-z0-9-]+$/i.test(service) ? service : undefined,
    search: text(raw.search),
    sort: oneOf(raw.sort, SORTS),
    view: raw.view === "list" ? "list" : undefined,
    file: file && /^media_[\w-]{16}$/.test(file) ? file : undefined,
  };
}
