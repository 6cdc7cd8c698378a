import { describe, expect, it } from "vitest";
import { everything, extend, keepOnly, NOTHING, toggle } from "./selection";

const ORDER = ["a", "b", "c", "d", "e"];
const ids = (selection: { ids: ReadonlySet<string> }) => [...selection.ids].sort().join("");

describe("selection", () => {
  it("toggles one and leaves the others", () => {
    const both = toggle(toggle(NOTHING, "a"), "c");
    expect(ids(both)).toBe("ac");
    expect(ids(toggle(both, "a"))).toBe("c");
  });

  it("extends from the anchor in list order, upwards and downwards", () => {
    expect(ids(extend(toggle(NOTHING, "b"), ORDER, "d"))).toBe("bcd");
    expect(ids(extend(toggle(NOTHING, "d"), ORDER, "b"))).toBe("bcd");
  });

  it("keeps what was selected before a range, and its anchor for the next", () => {
    const picked = toggle(toggle(NOTHING, "a"), "c");
    const once = extend(picked, ORDER, "d");
    expect(ids(once)).toBe("acd");
    expect(ids(extend(once, ORDER, "e"))).toBe("acde");
  });

  it("selects one when there is nothing to extend from", () => {
    expect(ids(extend(NOTHING, ORDER, "c"))).toBe("c");
    expect(ids(extend(toggle(NOTHING, "gone"), ORDER, "c"))).toBe("cgone");
  });

  it("selects all that are shown", () => {
    expect(ids(everything(NOTHING, ORDER))).toBe("abcde");
  });

  it("lets go of what is no longer there", () => {
    const all = everything(NOTHING, ORDER);
    expect(ids(keepOnly(all, new Set(["a", "e"])))).toBe("ae");
    expect(keepOnly(all, new Set(ORDER))).toBe(all);
  });
});
