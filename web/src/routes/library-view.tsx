import { getRouteApi } from "@tanstack/react-router";
import { useCallback } from "react";
import { LibraryPage } from "@/features/library/library-page";
import type { LibrarySearch } from "@/features/library/library-search";

const route = getRouteApi("/dashboard/media/files");

/** The Library with its state in the address. */
export function LibraryView() {
  const search = route.useSearch();
  const navigate = route.useNavigate();
  const change = useCallback(
    (changed: Partial<LibrarySearch>) =>
      void navigate({
        search: (now) => ({ ...now, ...changed }),
        // Opening a file is a step back can undo; typing and filtering are not.
        replace: !changed.file,
        resetScroll: false,
      }),
    [navigate],
  );
  return <LibraryPage search={search} onSearch={change} />;
}
