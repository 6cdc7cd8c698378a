import { describe, expect, it } from "vitest";
import { readSearch } from "./library-search";

describe("the Library's address", () => {
  it("is read as it was written", () => {
    const search = {
      type: "image",
      service: "blog",
      search: "50%",
      sort: "-fileSize",
      view: "list",
      file: "media_0123456789abcdef",
    };
    expect(readSearch(search)).toEqual(search);
  });

  it("loses what is wrong in it, and nothing else", () => {
    const wrong = { type: "virus", service: "a b", sort: "up", view: "cube", file: "x", search: 7 };
    expect(readSearch(wrong)).toEqual({ search: "7" });
  });
});
