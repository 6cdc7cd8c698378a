import { useQuery } from "@tanstack/react-query";
import { Link } from "@tanstack/react-router";
import { ArrowRight, Images } from "lucide-react";
import { Button } from "@/components/ui/button";
import { SectionHeading } from "@/components/ui/heading";
import { EmptyState, ErrorState, Skeleton } from "@/components/ui/states";
import { statsQuery } from "@/features/library/file-cache";
import { useCan } from "@/features/session/session";
import { UploadButton } from "@/features/uploads/upload-button";
import { UploadZone } from "@/features/uploads/upload-zone";
import { uploadQueue } from "@/features/uploads/use-media-upload";
import { formatCount } from "@/lib/format";
import { RecentActivity } from "./recent-activity";
import { RecentFiles } from "./recent-files";
import { StatsBar } from "./stats-bar";

const PLACES = Array.from({ length: 8 }, (_, index) => index);

/** The landing page of the module (spec 12.1). */
export function OverviewPage() {
  const { data: stats, error, refetch } = useQuery(statsQuery);
  const canWrite = useCan("media:files.write");
  const recent = stats?.recent ?? [];
  return (
    <div className="mx-auto max-w-[88rem] space-y-12 animate-in fade-in duration-500">
      <header className="flex flex-wrap items-end gap-x-5 gap-y-3 pt-2">
        <h1 className="text-4xl font-medium tracking-tight text-balance md:text-5xl">
          Your media, organized.
        </h1>
        <span className="mb-1.5 border border-l-2 border-l-accent bg-card px-2.5 py-1 text-xs text-muted-foreground tabular-nums">
          <strong className="font-medium text-foreground">
            {stats ? formatCount(stats.totalFiles) : "––"}
          </strong>{" "}
          {stats?.totalFiles === 1 ? "file" : "files"}
        </span>
      </header>
      {error && !stats ? (
        <ErrorState error={error} onRetry={() => void refetch()} />
      ) : (
        <>
          <section className="space-y-4">
            <SectionHeading number={1}>Overview</SectionHeading>
            <StatsBar stats={stats} />
            {canWrite && <UploadZone serviceCode="workspace" />}
          </section>
          <section className="space-y-4">
            <SectionHeading
              number={2}
              aside={
                <Button variant="ghost" asChild>
                  <Link to="/dashboard/media/files">
                    Library <ArrowRight />
                  </Link>
                </Button>
              }
            >
              Recent uploads
            </SectionHeading>
            {!stats ? (
              <div
                role="status"
                aria-label="Loading"
                className="grid grid-cols-2 border-t border-l md:grid-cols-4"
              >
                {PLACES.map((place) => (
                  <div key={place} className="border-r border-b">
                    <Skeleton className="aspect-[4/3]" />
                    <div className="space-y-2 p-3">
                      <Skeleton className="h-4 w-3/4" />
                      <Skeleton className="h-3 w-1/2" />
                    </div>
                  </div>
                ))}
              </div>
            ) : recent.length > 0 ? (
              <RecentFiles files={recent} />
            ) : (
              <EmptyState
                icon={Images}
                title="Nothing here yet"
                action={
                  canWrite && (
                    <UploadButton onFiles={(chosen) => uploadQueue.add(chosen, "workspace")} />
                  )
                }
              >
                {canWrite
                  ? "Drop your first images, videos or PDFs anywhere on this page."
                  : "Files that your workspace uploads appear here."}
              </EmptyState>
            )}
          </section>
          {stats && <RecentActivity files={recent} />}
        </>
      )}
    </div>
  );
}
