/** Where a key leads in a grid of so many columns; null for a key that leads nowhere. */
export function nextIndex(
  key: string,
  index: number,
  columns: number,
  count: number,
): number | null {
  const last = count - 1;
  const rowStart = index - (index % columns);
  const steps: Record<string, number> = {
    ArrowRight: index + 1,
    ArrowLeft: index - 1,
    ArrowDown: index + columns,
    ArrowUp: index - columns,
    Home: rowStart,
    End: Math.min(rowStart + columns - 1, last),
    PageDown: Math.min(index + 4 * columns, last),
    PageUp: Math.max(index - 4 * columns, 0),
  };
  const next = steps[key];
  if (next === undefined || count === 0) return null;
  if (next >= 0 && next <= last) return next;
  // From the last whole row down into a shorter one.
  const below = key === "ArrowDown" && Math.floor(index / columns) < Math.floor(last / columns);
  return below ? last : index;
}

/**
 * Where in `now` the file is that was at `index` of `before`; if it is gone, the one that followed
 * it, and the last where none did.
 */
export function followed(
  before: readonly { id: string }[],
  now: readonly { id: string }[],
  index: number,
): number {
  const places = new Map(now.map((file, place) => [file.id, place]));
  for (const file of before.slice(index)) {
    const place = places.get(file.id);
    if (place !== undefined) return place;
  }
  return Math.max(0, now.length - 1);
}
