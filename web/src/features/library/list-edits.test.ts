import { describe, expect, it } from "vitest";
import type { FileResource } from "@/lib/api";
import { type FileFilter, including, type Pages, type Sort, without } from "./list-edits";

const file = (id: string, fileName = id, more: Partial<FileResource> = {}): FileResource =>
  ({
    id,
    fileName,
    fileSize: 10,
    category: "image",
    serviceCode: "blog",
    createdAt: `2026-04-${id.padStart(2, "0")}T10:00:00.000Z`,
    ...more,
  }) as FileResource;
const pages = (...all: [FileResource[], string | null][]): Pages => ({
  pages: all.map(([items, nextCursor]) => ({ items, nextCursor })),
  pageParams: all.map(() => null),
});
const ids = (list: Pages) => list.pages.map((page) => page.items.map((one) => one.id).join(""));
const add = (list: Pages, filter: FileFilter, ...files: FileResource[]) =>
  ids(including(list, filter, new Map(files.map((one) => [one.id, one]))));

describe("a list on screen", () => {
  const whole = pages([[file("8"), file("6")], "x"], [[file("4"), file("2")], null]);

  it("loses what is gone, and stays itself when nothing is", () => {
    expect(ids(without(whole, new Set(["6", "2"])))).toEqual(["8", "4"]);
    expect(without(whole, new Set(["9"]))).toBe(whole);
  });

  it("takes a file back in where the order puts it", () => {
    expect(add(whole, {}, file("9"))).toEqual(["986", "42"]);
    expect(add(whole, {}, file("7"), file("3"), file("1"))).toEqual(["876", "4321"]);
    expect(add(whole, {}, file("5"))).toEqual(["86", "542"]);
  });

  it("leaves out what lies behind what was loaded so far", () => {
    const half = pages([[file("8"), file("6")], "x"]);
    expect(add(half, {}, file("7"), file("5"))).toEqual(["876"]);
  });

  it("orders by name and size, either way", () => {
    const named = pages([[file("1", "Alpha"), file("2", "gamma")], null]);
    expect(add(named, { sort: "fileName" }, file("3", "BETA"))).toEqual(["132"]);
    const sized = (sort: Sort) =>
      add(pages([[file("1")], null]), { sort }, file("3", "c", { fileSize: 20 }));
    expect(sized("fileSize")).toEqual(["13"]);
    expect(sized("-fileSize")).toEqual(["31"]);
  });

  it("takes only what its filter lets through", () => {
    expect(add(whole, { type: "video" }, file("9"))).toEqual(["86", "42"]);
    expect(add(whole, { service: "store" }, file("9"))).toEqual(["86", "42"]);
    const empty = pages([[], null]);
    expect(add(empty, { search: "GRÖSSE" }, file("9", "die gro\u0308ße"))).toEqual(["9"]);
    expect(add(empty, { search: "GRÖSSE" }, file("9", "grosse"))).toEqual([""]);
  });

  it("replaces a file that changed in its place", () => {
    const now = including(whole, {}, new Map([["4", file("4", "new name")]]));
    expect(now.pages[1]?.items[0]?.fileName).toBe("new name");
    expect(now.pages[0]).toBe(whole.pages[0]);
  });
});
