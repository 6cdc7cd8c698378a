import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NetworkError } from "@/lib/api";
import { UploadQueue } from "./upload-queue";
import { completeStep, ingestStep, presignStep, putStep, UploadExpired } from "./upload-steps";

vi.mock("./upload-steps", async (actual) => ({
  ...(await actual<object>()),
  presignStep: vi.fn(),
  putStep: vi.fn(),
  completeStep: vi.fn(),
  ingestStep: vi.fn(),
}));

const png = (name: string) => new File(["bytes"], name, { type: "image/png" });
const states = (queue: UploadQueue) => queue.snapshot().map((upload) => upload.state);
const settle = () => vi.advanceTimersByTimeAsync(0);

beforeEach(() => {
  vi.useFakeTimers();
  vi.mocked(presignStep).mockResolvedValue({ mediaId: "media_1" } as never);
  vi.mocked(putStep).mockResolvedValue(undefined);
  vi.mocked(completeStep).mockResolvedValue({ id: "media_1" } as never);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.resetAllMocks();
});

describe("the queue", () => {
  it("runs three at a time and starts the next when one is done", async () => {
    const waiting: (() => void)[] = [];
    vi.mocked(putStep).mockImplementation(() => new Promise((done) => waiting.push(done)));
    const queue = new UploadQueue();
    queue.add(["a", "b", "c", "d"].map(png), "blog");
    await settle();
    expect(states(queue)).toEqual(["uploading", "uploading", "uploading", "queued"]);
    waiting[0]?.();
    await settle();
    expect(states(queue)).toEqual(["done", "uploading", "uploading", "uploading"]);
  });

  it("goes on where it stopped when complete failed, without sending the bytes again", async () => {
    vi.mocked(completeStep).mockRejectedValueOnce(new Error("no"));
    const queue = new UploadQueue();
    const [id = ""] = queue.add([png("a")], "blog");
    await settle();
    expect(states(queue)).toEqual(["failed"]);
    queue.retry(id);
    await settle();
    expect(states(queue)).toEqual(["done"]);
    expect(putStep).toHaveBeenCalledTimes(1);
    expect(presignStep).toHaveBeenCalledTimes(1);
  });

  it("takes a new key after an upload that expired", async () => {
    vi.mocked(putStep).mockRejectedValueOnce(new UploadExpired());
    const queue = new UploadQueue();
    const [id = ""] = queue.add([png("a")], "blog");
    await settle();
    queue.retry(id);
    await settle();
    const keys = vi.mocked(presignStep).mock.calls.map(([, key]) => key);
    expect(new Set(keys).size).toBe(2);
    expect(states(queue)).toEqual(["done"]);
  });

  it("waits while the service is away, and goes on by itself under the same key", async () => {
    vi.mocked(presignStep).mockRejectedValueOnce(new NetworkError());
    const ready = vi.fn().mockResolvedValueOnce({ ok: false }).mockResolvedValue({ ok: true });
    vi.stubGlobal("fetch", ready);
    const queue = new UploadQueue();
    queue.add([png("a")], "blog");
    await settle();
    expect(states(queue)).toEqual(["waiting"]);
    await vi.advanceTimersByTimeAsync(2_000);
    expect(states(queue)).toEqual(["waiting"]);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(states(queue)).toEqual(["done"]);
    const keys = vi.mocked(presignStep).mock.calls.map(([, key]) => key);
    expect(new Set(keys).size).toBe(1);
  });

  it("goes on as soon as the browser is online again", async () => {
    vi.mocked(presignStep).mockRejectedValueOnce(new NetworkError());
    vi.stubGlobal("fetch", vi.fn().mockResolvedValue({ ok: true }));
    const queue = new UploadQueue();
    queue.add([png("a")], "blog");
    await settle();
    expect(states(queue)).toEqual(["waiting"]);
    window.dispatchEvent(new Event("online"));
    await settle();
    expect(states(queue)).toEqual(["done"]);
  });

  it("has a link fetched, and calls it as the file is called", async () => {
    const file = { id: "media_1", fileName: "hero.webp", fileSize: 9 } as never;
    vi.mocked(ingestStep).mockResolvedValue(file);
    const queue = new UploadQueue();
    const arrived = vi.fn();
    queue.onDone(arrived);
    queue.addLink("https://example.com/x?size=2", "blog");
    expect(queue.snapshot()[0]).toMatchObject({ name: "x", size: null, state: "verifying" });
    await settle();
    expect(queue.snapshot()[0]).toMatchObject({ name: "hero.webp", size: 9, state: "done" });
    expect(arrived).toHaveBeenCalledWith(file);
    expect(presignStep).not.toHaveBeenCalled();
  });

  it("withdraws a fetch that is cancelled", async () => {
    const fetch = vi.fn().mockResolvedValue(new Response("{}", { status: 200 }));
    vi.stubGlobal("fetch", fetch);
    vi.stubGlobal("location", { href: "http://app.test/" });
    vi.mocked(ingestStep).mockImplementation((_, __, taken) => {
      taken("media_9");
      return new Promise(() => undefined);
    });
    const queue = new UploadQueue();
    const id = queue.addLink("https://example.com/x", "blog");
    await settle();
    queue.cancel(id);
    expect(states(queue)).toEqual(["cancelled"]);
  });

  it("says at once what cannot be uploaded", () => {
    const queue = new UploadQueue();
    queue.add([new File(["x"], "a.txt", { type: "text/plain" })], "blog");
    expect(states(queue)).toEqual(["refused"]);
    expect(presignStep).not.toHaveBeenCalled();
  });
});
