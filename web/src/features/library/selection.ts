/** Which files are selected, and from where a range extends. */
export interface Selection {
  readonly ids: ReadonlySet<string>;
  /** The last file that was chosen by itself. */
  readonly anchor: string | null;
}

export const NOTHING: Selection = { ids: new Set(), anchor: null };

/** Checkbox, Space, Ctrl- or Cmd-click: this one changes, the others stay. */
export function toggle(selection: Selection, id: string): Selection {
  const ids = new Set(selection.ids);
  if (!ids.delete(id)) ids.add(id);
  return { ids, anchor: id };
}

/** Shift: everything between the anchor and this one, in the order of the list, is added. */
export function extend(selection: Selection, order: readonly string[], id: string): Selection {
  const from = selection.anchor === null ? -1 : order.indexOf(selection.anchor);
  const to = order.indexOf(id);
  if (from === -1 || to === -1) return toggle({ ...selection, ids: selection.ids }, id);
  const range = order.slice(Math.min(from, to), Math.max(from, to) + 1);
  return { ids: new Set([...selection.ids, ...range]), anchor: selection.anchor };
}

/** Ctrl-A: all that are shown. */
export function everything(selection: Selection, order: readonly string[]): Selection {
  return { ids: new Set(order), anchor: selection.anchor };
}

/** Only what is still there stays selected; the same object when that is all of it. */
export function keepOnly(selection: Selection, present: ReadonlySet<string>): Selection {
  if ([...selection.ids].every((id) => present.has(id))) return selection;
  return { ...selection, ids: new Set([...selection.ids].filter((id) => present.has(id))) };
}
