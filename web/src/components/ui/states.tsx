import type { LucideIcon } from "lucide-react";
import { Lock, TriangleAlert } from "lucide-react";
import type { ReactNode } from "react";
import { cn } from "@/lib/cn";
import { Button } from "./button";

interface Props {
  icon: LucideIcon;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
  className?: string;
}

/** Nothing to show: why, and what to do about it. */
export function EmptyState({ icon: Icon, title, children, action, className }: Props) {
  return (
    <div
      className={cn(
        "stripes flex flex-col items-center justify-center gap-4 border border-dashed border-input px-6 py-16 text-center",
        className,
      )}
    >
      <span className="flex size-12 items-center justify-center border border-border bg-background">
        <Icon className="size-5" strokeWidth={1.5} />
      </span>
      <div className="bg-background px-3 py-1">
        <p className="font-medium">{title}</p>
        {children && <p className="mt-1 max-w-md text-sm text-muted-foreground">{children}</p>}
      </div>
      {action}
    </div>
  );
}

export function ErrorState({ error, onRetry }: { error: Error; onRetry: () => void }) {
  return (
    <div role="alert">
      <EmptyState
        icon={TriangleAlert}
        title="This could not be loaded"
        action={
          <Button variant="solid" size="md" onClick={onRetry}>
            Try again
          </Button>
        }
      >
        {error.message}
      </EmptyState>
    </div>
  );
}

export function NoPermission() {
  return (
    <EmptyState icon={Lock} title="You may not see this workspace's media" className="min-h-[60vh]">
      It needs the permission “media:files.read”. Ask the owner of your workspace for it.
    </EmptyState>
  );
}

export function Skeleton({ className }: { className?: string }) {
  return <div aria-hidden className={cn("animate-pulse bg-muted", className)} />;
}

/** A page of which nothing is known yet, not even whether the person may see it. */
export function PageSkeleton() {
  return (
    <div role="status" aria-label="Loading" className="space-y-6">
      <Skeleton className="h-8 w-64 max-w-full" />
      <Skeleton className="h-20" />
      <Skeleton className="h-64" />
    </div>
  );
}
