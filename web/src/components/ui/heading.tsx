import type { ReactNode } from "react";
import { cn } from "@/lib/cn";

/** A numbered section heading (spec 14): `01 — Overview`. */
export function SectionHeading(props: { number: number; children: string; aside?: ReactNode }) {
  return (
    <div className="flex min-h-8 items-center gap-4">
      <h2 className="label-caps shrink-0">
        <span className="text-foreground tabular-nums">
          {String(props.number).padStart(2, "0")}
        </span>
        {" — "}
        {props.children}
      </h2>
      <span aria-hidden className="h-px flex-1 bg-border" />
      {props.aside}
    </div>
  );
}

export function Badge({ children, className }: { children: ReactNode; className?: string }) {
  return (
    <span
      className={cn(
        "inline-flex items-center border border-border bg-background px-1.5 py-0.5 text-[10px] leading-none tracking-[0.12em] text-muted-foreground uppercase",
        className,
      )}
    >
      {children}
    </span>
  );
}
