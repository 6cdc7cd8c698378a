import { createRootRoute, Link } from "@tanstack/react-router";
import { Compass } from "lucide-react";
import { Button } from "@/components/ui/button";
import { EmptyState, ErrorState } from "@/components/ui/states";
import { Shell } from "@/features/navigation/shell";

export const root = createRootRoute({
  component: Shell,
  errorComponent: ({ error, reset }) => (
    <ErrorState error={error instanceof Error ? error : new Error(String(error))} onRetry={reset} />
  ),
  notFoundComponent: () => (
    <EmptyState
      icon={Compass}
      title="There is no such page"
      action={
        <Button variant="solid" size="md" asChild>
          <Link to="/dashboard/media">To the overview</Link>
        </Button>
      }
    />
  ),
});
