import { Link } from "@tanstack/react-router";
import { Badge } from "@/components/ui/heading";
import { useMay } from "@/features/session/session";
import { SECTIONS } from "./sections";

export function Brand() {
  return (
    <span className="flex items-center gap-2.5 text-sm font-semibold tracking-tight">
      <span
        aria-hidden
        className="flex size-6 items-center justify-center bg-primary text-[11px] text-primary-foreground"
      >
        LS
      </span>
      LogicSpike
    </span>
  );
}

export function Sidebar({ onNavigate }: { onNavigate?: () => void }) {
  const may = useMay();
  return (
    <nav aria-label="Dashboard" className="flex flex-1 flex-col gap-1 overflow-y-auto py-4">
      {SECTIONS.map((section) => (
        <div key={section.title} className="pb-2">
          <p className="flex h-8 items-center justify-between gap-2 px-4">
            <span className="label-caps flex items-center gap-2.5">
              <section.icon aria-hidden className="size-3.5" strokeWidth={1.5} />
              {section.title}
            </span>
            {section.status === "coming_soon" && <Badge className="text-[9px]">Soon</Badge>}
          </p>
          <ul>
            {section.pages
              .filter(({ needs }) => needs === undefined || may(needs))
              .map((page) => (
                <li key={page.to}>
                  <Link
                    to={page.to}
                    activeOptions={{ exact: true, includeSearch: false }}
                    onClick={() => onNavigate?.()}
                    className="flex h-9 items-center gap-2.5 border-l-2 border-transparent pr-4 pl-[2.55rem] text-sm text-muted-foreground transition-colors hover:bg-muted hover:text-foreground data-[status=active]:border-accent data-[status=active]:bg-muted data-[status=active]:font-medium data-[status=active]:text-foreground"
                  >
                    {page.title}
                  </Link>
                </li>
              ))}
          </ul>
        </div>
      ))}
    </nav>
  );
}
