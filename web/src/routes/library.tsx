import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { readSearch } from "@/features/library/library-search";
import { root } from "./root";

export const library = createRoute({
  getParentRoute: () => root,
  path: "/dashboard/media/files",
  validateSearch: readSearch,
  component: lazyRouteComponent(() => import("./library-view"), "LibraryView"),
});
