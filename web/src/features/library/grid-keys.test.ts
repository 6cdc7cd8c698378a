import { describe, expect, it } from "vitest";
import { followed, nextIndex } from "./grid-keys";

describe("keys in a grid of 3 columns and 8 files", () => {
  it.each([
    ["ArrowRight", 2, 3],
    ["ArrowLeft", 3, 2],
    ["ArrowLeft", 0, 0],
    ["ArrowDown", 1, 4],
    ["ArrowDown", 5, 7],
    ["ArrowDown", 7, 7],
    ["ArrowUp", 1, 1],
    ["Home", 5, 3],
    ["End", 3, 5],
    ["End", 6, 7],
    ["PageDown", 0, 7],
    ["PageUp", 7, 0],
  ])("%s leads from %i to %i", (key, from, to) => expect(nextIndex(key, from, 3, 8)).toBe(to));

  it("leads nowhere for other keys, or without files", () => {
    expect(nextIndex("x", 0, 3, 8)).toBeNull();
    expect(nextIndex("ArrowDown", 0, 3, 0)).toBeNull();
  });
});

describe("the file that the keyboard is at", () => {
  const files = (ids: string) => [...ids].map((id) => ({ id }));

  it("is followed when others come or go before it", () => {
    expect(followed(files("abc"), files("bc"), 1)).toBe(0);
    expect(followed(files("abc"), files("xabc"), 1)).toBe(2);
  });

  it("gives way to the one behind it when it goes", () => {
    expect(followed(files("dcba"), files("ba"), 1)).toBe(0);
    expect(followed(files("dcba"), files("dc"), 3)).toBe(1);
    expect(followed(files("a"), [], 0)).toBe(0);
  });
});
