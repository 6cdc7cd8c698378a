import { describe, expect, it } from "vitest";
import { formatAgo, formatBytes, formatCount, formatShortDay } from "./format";

describe("format", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KB"],
    [10 * 1024 - 1, "10 KB"],
    [245_000, "239 KB"],
    [10 * 1024 * 1024, "10 MB"],
  ])("says %i bytes as %s", (bytes, said) => expect(formatBytes(bytes)).toBe(said));

  it.each([
    [0, "00"],
    [4, "04"],
    [12, "12"],
    [1204, "1,204"],
  ])("pads %i to %s", (count, said) => expect(formatCount(count)).toBe(said));

  it("leaves out this year", () => {
    const now = new Date("2026-11-24");
    expect(formatShortDay("2026-05-03T10:00:00Z", now)).toBe("03 May");
    expect(formatShortDay("2025-05-03T10:00:00Z", now)).toBe("03 May 2025");
  });

  it("says how long ago, and the day after a week", () => {
    const now = Date.parse("2026-05-10T12:00:00Z");
    expect(formatAgo("2026-05-10T11:59:30Z", now)).toBe("just now");
    expect(formatAgo("2026-05-10T11:55:00Z", now)).toContain("5 min");
    expect(formatAgo("2026-05-08T12:00:00Z", now)).toContain("2 days");
    expect(formatAgo("2026-05-01T12:00:00Z", now)).toBe("01 May 2026");
  });
});
