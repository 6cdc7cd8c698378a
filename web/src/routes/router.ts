import { createRouter } from "@tanstack/react-router";
import { bin } from "./bin";
import { blogEditor } from "./blog-editor";
import { library } from "./library";
import { overview } from "./overview";
import { root } from "./root";

export const router = createRouter({
  routeTree: root.addChildren([overview, library, bin, blogEditor]),
  defaultPreload: "intent",
  scrollRestoration: true,
});

declare module "@tanstack/react-router" {
  interface Register {
    router: typeof router;
  }
}
