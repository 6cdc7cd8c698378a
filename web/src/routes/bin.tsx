import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { root } from "./root";

export const bin = createRoute({
  getParentRoute: () => root,
  path: "/dashboard/media/bin",
  component: lazyRouteComponent(() => import("@/features/bin/bin-page"), "BinPage"),
});
