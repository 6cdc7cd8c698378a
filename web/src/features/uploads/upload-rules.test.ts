import { describe, expect, it } from "vitest";
import { linkIn, nameOfLink, refusalOf, typeOf } from "./upload-rules";

const named = (name: string, type: string) => new File(["x"], name, { type });

describe("what may be uploaded", () => {
  it("goes by the type, and by the name where the system knows no type", () => {
    expect(typeOf(named("a.bin", "image/png"))).toBe("image/png");
    expect(typeOf(named("A.AVIF", ""))).toBe("image/avif");
    expect(typeOf(named("a.exe", ""))).toBe("");
    expect(refusalOf(named("a.avif", ""))).toBeNull();
    expect(refusalOf(named("a.exe", ""))).toBe("This type (unknown) is not accepted.");
  });
});

describe("a pasted link", () => {
  it.each([
    [" https://example.com/a%20b.png?x=1 \n", "https://example.com/a%20b.png?x=1"],
    ["HTTP://example.com", "HTTP://example.com"],
    ["see https://example.com", null],
    ["https://example.com and more", null],
    ["javascript:alert(1)", null],
    ["https://", null],
    ["", null],
  ])("%j is %j", (text, link) => {
    expect(linkIn(text)).toBe(link);
  });

  it("is called after its last part until the file has a name", () => {
    expect(nameOfLink("https://example.com/a/gr%C3%BCn.png?x=1")).toBe("grün.png");
    expect(nameOfLink("https://example.com/")).toBe("example.com");
    expect(nameOfLink("https://example.com/%ff")).toBe("%ff");
  });
});
