import { Search, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { cn } from "@/lib/cn";
import { useSettled } from "@/lib/hooks";

interface Props {
  value: string;
  onChange: (value: string) => void;
  className?: string;
}

/** A search that waits until typing pauses. */
export function SearchField({ value, onChange, className }: Props) {
  const [text, setText] = useState(value);
  const settled = useSettled(text, 200);
  const told = useRef(value);
  useEffect(() => {
    if (settled !== told.current) {
      told.current = settled;
      onChange(settled);
    }
  }, [settled, onChange]);
  useEffect(() => {
    // The address changed under us: back, forward, or a link.
    if (value !== told.current) {
      told.current = value;
      setText(value);
    }
  }, [value]);
  return (
    <span className={cn("relative flex", className)}>
      <Search className="pointer-events-none absolute top-1/2 left-3 size-3.5 -translate-y-1/2 text-muted-foreground" />
      <input
        type="search"
        aria-label="Search by file name"
        placeholder="Search by name"
        maxLength={255}
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="h-9 w-full rounded-none border border-border bg-card pr-9 pl-9 text-sm placeholder:text-muted-foreground hover:border-foreground [&::-webkit-search-cancel-button]:hidden"
      />
      {text && (
        <button
          type="button"
          aria-label="Clear the search"
          onClick={() => setText("")}
          className="absolute inset-y-0 right-0 flex w-9 items-center justify-center text-muted-foreground hover:text-foreground"
        >
          <X className="size-3.5" />
        </button>
      )}
    </span>
  );
}
