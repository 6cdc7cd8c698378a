import { createRoute, lazyRouteComponent } from "@tanstack/react-router";
import { root } from "./root";

export const blogEditor = createRoute({
  getParentRoute: () => root,
  path: "/blog/editor",
  component: lazyRouteComponent(
    () => import("@/features/picker/blog-editor-page"),
    "BlogEditorPage",
  ),
});
