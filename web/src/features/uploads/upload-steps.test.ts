import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { NetworkError, type Presigned } from "@/lib/api";
import { putObject } from "./put-object";
import { completeStep, ingestStep, presignStep, putStep, UploadExpired } from "./upload-steps";

vi.mock("./put-object", () => ({ putObject: vi.fn() }));

const REQUEST = { fileName: "a.png", contentType: "image/png", fileSize: 9, serviceCode: "blog" };
const PRESIGNED: Presigned = {
  mediaId: "media_0123456789abcdef",
  key: "t/blog/2026/04/0123456789abcdef.png",
  uploadUrl: "http://bucket.test/x",
  method: "PUT",
  headers: {},
  publicUrl: null,
  expiresAt: "2026-04-29T10:00:00.000Z",
};
const FILE = { id: PRESIGNED.mediaId };

/** Each call of fetch takes the next answer; the moments of the calls, in milliseconds. */
function answers(...given: (number | "network" | [number, Record<string, string>])[]): number[] {
  const began = Date.now();
  const calls: number[] = [];
  vi.stubGlobal("fetch", async (request: Request) => {
    const answer = given[calls.length];
    calls.push(Date.now() - began);
    if (answer === "network" || answer === undefined) throw new TypeError("Failed to fetch");
    const [status, headers] = typeof answer === "number" ? [answer, {}] : answer;
    const ok = request.url.endsWith("presign") ? PRESIGNED : FILE;
    const text = status === 200 ? ok : { error: "no", code: "X", status };
    return new Response(JSON.stringify(text), {
      status,
      headers: { "content-type": "application/json", ...headers },
    });
  });
  return calls;
}

/** The outcome once every timer has run. */
async function outcome<T>(promise: Promise<T>): Promise<T | Error> {
  const settled = promise.catch((error: Error) => error);
  await vi.runAllTimersAsync();
  return settled;
}

const { signal } = new AbortController();

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("location", { href: "http://app.test/" });
  const Original = globalThis.Request;
  vi.stubGlobal(
    "Request",
    class extends Original {
      constructor(input: string | Request, init?: RequestInit) {
        super(typeof input === "string" ? new URL(input, "http://app.test") : input, init);
      }
    },
  );
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.mocked(putObject).mockReset();
});

describe("presign", () => {
  it("is repeated after 1, 2 and 4 seconds, then given up", async () => {
    const calls = answers(500, "network", 503, 500, 200);
    expect(await outcome(presignStep(REQUEST, "k", signal))).toBeInstanceOf(Error);
    expect(calls).toEqual([0, 1_000, 3_000, 7_000]);
  });

  it("is repeated after a 429 when that says", async () => {
    const calls = answers([429, { "retry-after": "7" }], 200);
    expect(await outcome(presignStep(REQUEST, "k", signal))).toEqual(PRESIGNED);
    expect(calls).toEqual([0, 7_000]);
  });

  it.each([400, 401, 402, 403, 404, 409, 413])("is never repeated after a %i", async (status) => {
    const calls = answers(status, 200);
    expect(await outcome(presignStep(REQUEST, "k", signal))).toMatchObject({ status });
    expect(calls).toEqual([0]);
  });

  it("stops waiting when the upload is cancelled", async () => {
    const calls = answers(500, 200);
    const cancel = new AbortController();
    const asked = presignStep(REQUEST, "k", cancel.signal).catch((error: Error) => error);
    await vi.advanceTimersByTimeAsync(500);
    cancel.abort();
    expect(await asked).toMatchObject({ name: "AbortError" });
    await vi.runAllTimersAsync();
    expect(calls).toEqual([0]);
  });
});

describe("PUT", () => {
  // Takes the reports.
  beforeEach(() => void vi.stubGlobal("fetch", async () => new Response(null, { status: 204 })));

  const put = (...given: (number | "network")[]) => {
    for (const one of given) {
      if (one === "network") vi.mocked(putObject).mockRejectedValueOnce(new NetworkError());
      else vi.mocked(putObject).mockResolvedValueOnce(one);
    }
    return outcome(putStep(PRESIGNED, new Blob(), () => undefined, signal));
  };

  it("is repeated twice after a network error, then given up", async () => {
    expect(await put("network", "network", "network", 200)).toBeInstanceOf(NetworkError);
    expect(putObject).toHaveBeenCalledTimes(3);
  });

  it("takes a 412 after a repetition for bytes that had arrived", async () => {
    expect(await put("network", 412)).toBeUndefined();
  });

  it("takes a 412 at once for a refusal", async () => {
    expect(await put(412)).toBeInstanceOf(Error);
    expect(putObject).toHaveBeenCalledTimes(1);
  });

  it.each([400, 500, 503])("is never repeated after a %i", async (status) => {
    expect(await put(status, 200)).toBeInstanceOf(Error);
    expect(putObject).toHaveBeenCalledTimes(1);
  });

  it("says that the upload expired after a 403", async () => {
    const error = await put(403);
    expect(error).toBeInstanceOf(UploadExpired);
    expect((error as Error).message).toBe("Upload expired, please try again.");
  });
});

describe("reports", () => {
  const told = (...given: (number | "network")[]) => {
    const bodies: Promise<unknown>[] = [];
    vi.stubGlobal("fetch", async (request: Request) => {
      bodies.push(request.json());
      return new Response(null, { status: 204 });
    });
    for (const one of given) {
      if (one === "network") vi.mocked(putObject).mockRejectedValueOnce(new NetworkError());
      else vi.mocked(putObject).mockResolvedValueOnce(one);
    }
    return outcome(putStep(PRESIGNED, new Blob(), () => undefined, signal)).then(() =>
      Promise.all(bodies),
    );
  };
  const report = (status: number, attempt: number) => ({
    mediaId: PRESIGNED.mediaId,
    stage: "put",
    status,
    attempt,
  });

  it("tell of every PUT that failed, by its attempt", async () => {
    expect(await told("network", 503)).toEqual([report(0, 1), report(503, 2)]);
  });

  it("say nothing of one that succeeded, or that had after all", async () => {
    expect(await told(200)).toEqual([]);
    expect(await told("network", 412)).toEqual([report(0, 1)]);
  });
});

describe("complete", () => {
  it("is repeated three times after 5xx and network errors, then given up", async () => {
    const calls = answers(502, "network", 500, 500, 200);
    expect(await outcome(completeStep(PRESIGNED.mediaId, "k", signal))).toBeInstanceOf(Error);
    expect(calls).toHaveLength(4);
  });

  it("gives the file when a repetition succeeds", async () => {
    answers(500, 200);
    expect(await outcome(completeStep(PRESIGNED.mediaId, "k", signal))).toEqual(FILE);
  });

  it.each([403, 404, 409, 410, 429])("is never repeated after a %i", async (status) => {
    const calls = answers(status, 200);
    expect(await outcome(completeStep(PRESIGNED.mediaId, "k", signal))).toBeInstanceOf(Error);
    expect(calls).toEqual([0]);
  });
});

describe("ingest", () => {
  const LINK = { url: "https://example.com/a.png", serviceCode: "blog" };
  const begin = (taken = vi.fn()) => outcome(ingestStep(LINK, "key", taken, signal));

  /** Each answer in turn, with its body. */
  function bodies(...given: [number, object][]): Request[] {
    const requests: Request[] = [];
    vi.stubGlobal("fetch", async (request: Request) => {
      const [status, body] = given[requests.length] ?? [500, {}];
      requests.push(request);
      return new Response(JSON.stringify(body), { status });
    });
    return requests;
  }

  it("asks how it goes until the file is there", async () => {
    const going = { mediaId: "media_1", status: "pending_upload", processing: "fetching" };
    const requests = bodies(
      [202, going],
      [200, { ...going, file: null, error: null }],
      [200, { ...going, processing: null, status: "uploaded", file: FILE, error: null }],
    );
    const taken = vi.fn();
    expect(await begin(taken)).toEqual(FILE);
    expect(taken).toHaveBeenCalledWith("media_1");
    expect(requests.map((one) => one.method)).toEqual(["POST", "GET", "GET"]);
    expect(requests[0]?.headers.get("prefer")).toBe("respond-async");
    expect(requests[0]?.headers.get("idempotency-key")).toBe("key");
  });

  it("says why a source could not be fetched", async () => {
    const error = { code: "SOURCE_UNAVAILABLE", error: "The source does not answer." };
    bodies(
      [202, { mediaId: "media_1" }],
      [200, { mediaId: "media_1", status: "rejected", processing: null, file: null, error }],
    );
    expect(String(await begin())).toContain("The source does not answer.");
  });

  it("is never repeated after a refusal", async () => {
    const requests = bodies([400, { error: "no", code: "SSRF_BLOCKED", status: 400 }]);
    expect(String(await begin())).toContain("no");
    expect(requests).toHaveLength(1);
  });
});
