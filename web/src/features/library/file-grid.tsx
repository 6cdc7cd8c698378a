import { useWindowVirtualizer } from "@tanstack/react-virtual";
import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState } from "react";
import type { FileResource } from "@/lib/api";
import { cn } from "@/lib/cn";
import { useBox, useColumns } from "@/lib/hooks";
import { type CardActions, FileCard } from "./file-card";
import { followed, nextIndex } from "./grid-keys";
import { extend, type Selection, toggle } from "./selection";

interface Props {
  files: readonly FileResource[];
  view: "grid" | "list";
  selection: Selection;
  onSelect: (change: (selection: Selection) => Selection) => void;
  onOpen: (file: FileResource) => void;
  onDelete: (files: readonly FileResource[]) => void;
  openId: string | undefined;
  canWrite: boolean;
  hasMore: boolean;
  onMore: () => void;
}

const LIST_ROW = 57;
const CARD_TEXT = 69;
const NARROWEST_CARD = 176;
/** The page's header, which covers what scrolls below it, and the bar at the bottom. */
const COVERED = { scrollPaddingStart: 72, scrollPaddingEnd: 88 };

/** The files, of which only the rows near the window exist. Everything works by keyboard. */
export function FileGrid(props: Props) {
  const { files, view, selection, onSelect, onOpen, onDelete, openId, canWrite } = props;
  const element = useRef<HTMLDivElement>(null);
  const { width, top } = useBox(element);
  const gridColumns = useColumns();
  // Fewer than spec 12.1 says where the details beside the list leave less room.
  const fitting = Math.max(2, Math.floor(width / NARROWEST_CARD));
  const columns = view === "list" ? 1 : Math.min(gridColumns, fitting);
  const rowHeight = view === "list" ? LIST_ROW : Math.round((width / columns) * 0.75) + CARD_TEXT;
  const rows = Math.ceil(files.length / columns);
  const virtualizer = useWindowVirtualizer({
    count: rows,
    estimateSize: () => rowHeight,
    overscan: 3,
    scrollMargin: top,
    ...COVERED,
  });
  // biome-ignore lint/correctness/useExhaustiveDependencies: the height is what was measured with
  useEffect(() => virtualizer.measure(), [virtualizer, rowHeight]);

  const items = virtualizer.getVirtualItems();
  const lastRow = items.at(-1)?.index ?? -1;
  const { hasMore, onMore } = props;
  useEffect(() => {
    if (hasMore && lastRow >= rows - 4) onMore();
  }, [hasMore, lastRow, rows, onMore]);

  const [active, setActive] = useState(0);
  const before = useRef(files);
  // Keys act on the file that has the focus, wherever the news of others move it.
  useLayoutEffect(() => {
    const was = before.current;
    before.current = files;
    const focused = element.current?.contains(document.activeElement);
    if (files.length < was.length || (focused && files !== was)) {
      setActive((now) => followed(was, files, now));
    }
  }, [files]);
  const focusing = useRef(false);
  // After each drawing, since the row to focus may have had to be scrolled to first.
  useEffect(() => {
    if (!focusing.current) return;
    const card = element.current?.querySelector<HTMLElement>(`[data-index="${active}"]`);
    if (!card) return;
    focusing.current = false;
    card.focus({ preventScroll: true });
  });

  const latest = useRef({ files, onSelect, onOpen, onDelete, canWrite });
  latest.current = { files, onSelect, onOpen, onDelete, canWrite };
  const actions = useMemo<CardActions>(() => {
    const choose: CardActions["toggle"] = (file, event) =>
      latest.current.onSelect((now) =>
        event.shiftKey
          ? extend(
              now,
              latest.current.files.map((one) => one.id),
              file.id,
            )
          : toggle(now, file.id),
      );
    return {
      toggle: choose,
      press: (file, event) => {
        const chosen =
          latest.current.canWrite && (event.ctrlKey || event.metaKey || event.shiftKey);
        if (chosen) choose(file, event);
        else latest.current.onOpen(file);
      },
      focus: setActive,
      remove: (file) => latest.current.onDelete([file]),
    };
  }, []);

  const keyed = (event: KeyboardEvent) => {
    const file = files[active];
    const onCard = (event.target as Element).getAttribute("role") === "gridcell";
    if (!file || !onCard || event.altKey || event.ctrlKey || event.metaKey) return;
    const next = nextIndex(event.key, active, columns, files.length);
    if (next !== null) {
      event.preventDefault();
      const to = files[next];
      if (event.shiftKey && canWrite && to) {
        const order = files.map((one) => one.id);
        onSelect((now) => extend(now.anchor === null ? toggle(now, file.id) : now, order, to.id));
      }
      focusing.current = true;
      setActive(next);
      virtualizer.scrollToIndex(Math.floor(next / columns), { align: "auto" });
    } else if (event.key === "Enter") {
      event.preventDefault();
      onOpen(file);
    } else if (event.key === " " && canWrite) {
      event.preventDefault();
      onSelect((now) => toggle(now, file.id));
    } else if (event.key === "Delete" && canWrite) {
      onDelete(selection.ids.size > 0 ? files.filter((one) => selection.ids.has(one.id)) : [file]);
    }
  };

  const reachable = Math.min(active, files.length - 1);
  return (
    <div
      ref={element}
      role="grid"
      aria-label="Files"
      aria-multiselectable={canWrite}
      aria-rowcount={hasMore ? -1 : rows}
      aria-colcount={columns}
      onKeyDown={keyed}
      className="relative border-t border-l"
      style={{ height: virtualizer.getTotalSize() }}
    >
      {width > 0 &&
        items.map((row) => (
          <div
            key={row.key}
            role="row"
            aria-rowindex={row.index + 1}
            className={cn("absolute inset-x-0 top-0", view === "grid" ? "grid" : "flex")}
            style={{
              height: row.size,
              transform: `translateY(${row.start - virtualizer.options.scrollMargin}px)`,
              gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`,
            }}
          >
            {files.slice(row.index * columns, (row.index + 1) * columns).map((file, column) => {
              const index = row.index * columns + column;
              return (
                <FileCard
                  key={file.id}
                  file={file}
                  index={index}
                  view={view}
                  selected={selection.ids.has(file.id)}
                  selecting={selection.ids.size > 0}
                  active={index === reachable}
                  open={file.id === openId}
                  canWrite={canWrite}
                  actions={actions}
                />
              );
            })}
            {row.index === rows - 1 && !hasMore && <Rest count={rows * columns - files.length} />}
          </div>
        ))}
    </div>
  );
}

/** The places of the last row that no file takes. */
function Rest({ count }: { count: number }) {
  return Array.from({ length: count }, (_, index) => index).map((place) => (
    <span key={place} aria-hidden className="stripes border-r border-b opacity-60" />
  ));
}
