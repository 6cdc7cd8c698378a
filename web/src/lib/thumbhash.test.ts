import { describe, expect, it } from "vitest";
import { pixelsOf } from "./thumbhash";

const bytes = (base64: string) => Uint8Array.from(atob(base64), (one) => one.charCodeAt(0));

describe("a ThumbHash", () => {
  it("says the shape of the picture, and has a colour for every place in it", () => {
    const pixels = pixelsOf(bytes("1QcSHQRnh493V4dIh4eXh1h4kJUI"));
    expect([pixels?.width, pixels?.height, pixels?.rgba.length]).toEqual([11, 16, 11 * 16 * 4]);
    expect(pixels?.rgba.filter((_, index) => index % 4 === 3).every((one) => one === 255)).toBe(
      true,
    );
  });

  it("gives a flat picture its one colour", () => {
    // Mean light 63/63 and no colour, all waves at their middle with a scale of 0: white.
    const white = pixelsOf(
      Uint8Array.from([0xff, 0xf7, 0x01, 0x07, 0x80, ...Array(20).fill(0x88)]),
    );
    expect(white?.rgba[0]).toBeGreaterThan(240);
  });

  it("is refused when it is none", () => {
    expect(pixelsOf(new Uint8Array(3))).toBeNull();
  });
});
