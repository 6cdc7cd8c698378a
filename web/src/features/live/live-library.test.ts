// @vitest-environment happy-dom
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { LiveLibrary } from "./live-library";

class FakeSource extends EventTarget {
  static readonly CLOSED = 2;
  static all: FakeSource[] = [];
  readyState = 1;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;
  closed = false;
  constructor(readonly url: string) {
    super();
    FakeSource.all.push(this);
  }
  close() {
    this.closed = true;
    this.readyState = FakeSource.CLOSED;
  }
  tell(name: string, id: string, data: unknown) {
    this.dispatchEvent(
      new MessageEvent(name, { data: JSON.stringify(data), lastEventId: id }) as Event,
    );
  }
  refuse() {
    this.readyState = FakeSource.CLOSED;
    this.onerror?.();
  }
}

const news = { show: vi.fn(), left: vi.fn(), missed: vi.fn() };
let stop: () => void = () => undefined;
const latest = () => FakeSource.all.at(-1) as FakeSource;
const hide = (hidden: boolean) => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
};

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("EventSource", FakeSource);
  FakeSource.all = [];
  hide(false);
  stop = new LiveLibrary("40", news).start();
});
afterEach(() => {
  stop();
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.resetAllMocks();
});

describe("the live library", () => {
  it("begins where the page's first list stood", () => {
    expect(latest().url).toBe("/api/media/files/events?after=40");
  });

  it("tells in batches, and of each file only how it ended", () => {
    latest().tell("file.added", "41", { id: "a", fileName: "a" });
    latest().tell("file.added", "42", { id: "b", fileName: "b" });
    latest().tell("file.changed", "43", { id: "b", fileName: "b2" });
    latest().tell("file.removed", "44", { id: "a" });
    expect(news.show).not.toHaveBeenCalled();
    vi.advanceTimersByTime(100);
    expect(news.show.mock.calls).toEqual([[[{ id: "b", fileName: "b2" }]]]);
    expect(news.left.mock.calls).toEqual([[new Set(["a"])]]);
  });

  it("lists anew when some news were missed", () => {
    latest().tell("file.removed", "44", { id: "a" });
    latest().tell("resync", "45", { reason: "slow" });
    vi.advanceTimersByTime(1_000);
    expect(news.missed).toHaveBeenCalledTimes(1);
    expect(news.left).not.toHaveBeenCalled();
  });

  it("connects again, later and later, after an answer that is no stream", () => {
    latest().refuse();
    vi.advanceTimersByTime(1_999);
    expect(FakeSource.all).toHaveLength(1);
    vi.advanceTimersByTime(1);
    latest().refuse();
    vi.advanceTimersByTime(4_999);
    expect(FakeSource.all).toHaveLength(2);
    vi.advanceTimersByTime(1);
    expect(FakeSource.all).toHaveLength(3);
  });

  it("gives the connection back while nobody looks, and then goes on where it was", () => {
    latest().tell("file.removed", "77", { id: "a" });
    hide(true);
    vi.advanceTimersByTime(29_000);
    expect(latest().closed).toBe(false);
    vi.advanceTimersByTime(1_000);
    expect(latest().closed).toBe(true);
    hide(false);
    expect(latest().url).toBe("/api/media/files/events?after=77");
  });

  it("stays open when somebody looks away only shortly", () => {
    hide(true);
    vi.advanceTimersByTime(5_000);
    hide(false);
    vi.advanceTimersByTime(60_000);
    expect(FakeSource.all).toHaveLength(1);
    expect(latest().closed).toBe(false);
  });
});
