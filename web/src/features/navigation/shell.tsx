import { useQuery } from "@tanstack/react-query";
import { Outlet, useLocation } from "@tanstack/react-router";
import { Menu } from "lucide-react";
import { useEffect, useState } from "react";
import { Button } from "@/components/ui/button";
import { Sheet, SheetContent } from "@/components/ui/sheet";
import { ErrorState, NoPermission, PageSkeleton } from "@/components/ui/states";
import { Toaster } from "@/components/ui/toaster";
import { TooltipProvider } from "@/components/ui/tooltip";
import { watchUploads } from "@/features/library/file-cache";
import { useLiveLibrary } from "@/features/live/use-live-library";
import { PersonSwitch } from "@/features/session/person-switch";
import { sessionQuery, useCan } from "@/features/session/session";
import { UploadTray } from "@/features/uploads/upload-tray";
import { WindowDrop } from "@/features/uploads/window-drop";
import { Brand, Sidebar } from "./sidebar";
import { ThemeSwitch } from "./theme-switch";

/** What is around every page. */
export function Shell() {
  const [menu, setMenu] = useState(false);
  const inBlog = useLocation({ select: (location) => location.pathname.startsWith("/blog") });
  const session = useQuery(sessionQuery);
  const canRead = useCan("media:files.read");
  const canWrite = useCan("media:files.write");
  useEffect(() => watchUploads(), []);
  useLiveLibrary(canRead);
  return (
    <TooltipProvider delayDuration={300}>
      <a
        href="#page"
        className="sr-only z-[110] bg-primary px-4 py-2 text-primary-foreground focus:not-sr-only focus:fixed focus:top-2 focus:left-2"
      >
        Skip to the page
      </a>
      <aside className="fixed inset-y-0 left-0 z-20 hidden w-60 flex-col border-r bg-card lg:flex">
        <div className="flex h-14 items-center border-b px-4">
          <Brand />
        </div>
        <Sidebar />
      </aside>
      <Sheet open={menu} onOpenChange={setMenu}>
        <SheetContent title="Menu" side="left" className="max-w-72">
          <Sidebar onNavigate={() => setMenu(false)} />
        </SheetContent>
      </Sheet>
      <div className="lg:pl-60">
        <header className="sticky top-0 z-20 flex h-14 items-center gap-2 border-b bg-background/95 px-4 backdrop-blur md:px-8">
          <Button
            variant="ghost"
            size="icon"
            aria-label="Open the menu"
            className="-ml-2 lg:hidden"
            onClick={() => setMenu(true)}
          >
            <Menu className="!size-4" />
          </Button>
          <span className="lg:hidden">
            <Brand />
          </span>
          <span className="flex-1" />
          <PersonSwitch />
          <ThemeSwitch />
        </header>
        <main id="page" tabIndex={-1} className="px-4 pt-8 pb-32 outline-none md:px-8">
          {session.isError ? (
            <ErrorState error={session.error} onRetry={() => void session.refetch()} />
          ) : session.isSuccess ? (
            canRead ? (
              <Outlet />
            ) : (
              <NoPermission />
            )
          ) : (
            <PageSkeleton />
          )}
        </main>
      </div>
      {canWrite && <WindowDrop serviceCode={inBlog ? "blog" : "workspace"} />}
      <UploadTray />
      <Toaster />
    </TooltipProvider>
  );
}
