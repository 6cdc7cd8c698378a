import { describe, expect, it } from "vitest";
import type { FileResource, Variant } from "@/lib/api";
import { cameBack, isBeingMade, pictureOf, publicUrl } from "./pictures";

const MEGABYTE = 1024 * 1024;
const file = (more: Partial<FileResource>): FileResource =>
  ({ category: "image", fileSize: MEGABYTE, url: "https://cdn/original", ...more }) as FileResource;
const variant = (status: Variant["status"], url: string | null = "https://cdn/thumb"): Variant => ({
  url,
  status,
  error: null,
});
const shown = (one: FileResource) => publicUrl(one, pictureOf(one));

describe("the picture of a file", () => {
  it.each(["ready", "on_demand"] as const)("is its rendition when that is %s", (status) => {
    for (const category of ["image", "video"] as const) {
      expect(shown(file({ category, variants: { thumb_200: variant(status) } }))).toBe(
        "https://cdn/thumb",
      );
    }
  });

  it("is a small original where there is no rendition, and never a video or a document", () => {
    const variants = { thumb_200: variant("failed", null) };
    expect(shown(file({ variants }))).toBe("https://cdn/original");
    expect(shown(file({ variants: {} }))).toBe("https://cdn/original");
    expect(shown(file({ variants, fileSize: 3 * MEGABYTE }))).toBeNull();
    expect(shown(file({ variants, category: "video" }))).toBeNull();
    expect(shown(file({ variants: {}, category: "document" }))).toBeNull();
  });

  it("is waited for while the file is looked into", () => {
    const made = (status: Variant["status"], processing: string | null) => {
      const one = file({ processing, variants: { thumb_200: variant(status) } });
      return isBeingMade(one, pictureOf(one));
    };
    expect(made("on_demand", "inspecting")).toBe(true);
    expect(made("on_demand", null)).toBe(false);
    expect(made("ready", "inspecting")).toBe(false);
    expect(isBeingMade(file({ processing: "inspecting", variants: {} }), "original")).toBe(false);
  });

  it("is waited for when the file comes back from the bin", () => {
    const back = cameBack(file({ variants: { thumb_200: variant("ready") } }));
    expect(isBeingMade(back, pictureOf(back))).toBe(true);
  });

  it("is a small drawing itself, once that is in its place", () => {
    const drawing = (status: Variant["status"], fileSize: number) =>
      pictureOf(
        file({ mimeType: "image/svg+xml", fileSize, variants: { thumb_200: variant(status) } }),
      );
    expect(drawing("ready", 4_000)).toBe("original");
    expect(drawing("ready", 400_000)).toEqual({ preset: "thumb_200" });
    expect(drawing("on_demand", 4_000)).toEqual({ preset: "thumb_200" });
  });

  it("has no public address where the file is private", () => {
    const hidden = file({ url: null, variants: { thumb_200: variant("ready", null) } });
    expect(pictureOf(hidden)).toEqual({ preset: "thumb_200" });
    expect(shown(hidden)).toBeNull();
  });
});
