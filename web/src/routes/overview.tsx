import { createRoute } from "@tanstack/react-router";
import { OverviewPage } from "@/features/overview/overview-page";
import { root } from "./root";

export const overview = createRoute({
  getParentRoute: () => root,
  path: "/dashboard/media",
  component: OverviewPage,
});
