import { useQuery } from "@tanstack/react-query";
import { LayoutGrid, List } from "lucide-react";
import { SearchField } from "@/components/ui/search-field";
import { Segments } from "@/components/ui/segments";
import { Select } from "@/components/ui/select";
import { statsQuery } from "./file-cache";
import { CATEGORIES, type LibrarySearch, SORTS } from "./library-search";
import type { Sort } from "./list-edits";

const TYPES = [{ value: "all", label: "All" }, ...CATEGORIES] as const;
const VIEWS = [
  { value: "grid", label: "Grid view", icon: <LayoutGrid /> },
  { value: "list", label: "List view", icon: <List /> },
] as const;

interface Props {
  search: LibrarySearch;
  onChange: (change: Partial<LibrarySearch>) => void;
}

/** Which files to show, and how. */
export function FilterBar({ search, onChange }: Props) {
  const { data } = useQuery(statsQuery);
  const services = new Set(Object.keys(data?.byService ?? {}));
  if (search.service) services.add(search.service);
  return (
    <search className="flex flex-wrap items-center gap-2">
      <Segments
        label="Type"
        className="max-sm:w-full max-sm:*:flex-1 max-sm:*:px-0 max-sm:*:tracking-[0.06em]"
        value={search.type ?? "all"}
        options={TYPES}
        onChange={(type) => onChange({ type: type === "all" ? undefined : type })}
      />
      <SearchField
        className="min-w-48 flex-1 max-sm:basis-full"
        value={search.search ?? ""}
        onChange={(text) => onChange({ search: text || undefined })}
      />
      <Select
        aria-label="Service"
        className="max-sm:min-w-0 max-sm:flex-1"
        value={search.service ?? ""}
        onChange={(event) => onChange({ service: event.target.value || undefined })}
      >
        <option value="">All services</option>
        {[...services].sort().map((service) => (
          <option key={service} value={service}>
            {service}
          </option>
        ))}
      </Select>
      <Select
        aria-label="Order"
        className="max-sm:min-w-0 max-sm:flex-1"
        value={search.sort ?? "-createdAt"}
        onChange={(event) => {
          const sort = event.target.value as Sort;
          onChange({ sort: sort === "-createdAt" ? undefined : sort });
        }}
      >
        {SORTS.map((sort) => (
          <option key={sort.value} value={sort.value}>
            {sort.label}
          </option>
        ))}
      </Select>
      <Segments
        label="View"
        value={search.view ?? "grid"}
        options={VIEWS}
        onChange={(view) => onChange({ view: view === "list" ? view : undefined })}
      />
    </search>
  );
}
