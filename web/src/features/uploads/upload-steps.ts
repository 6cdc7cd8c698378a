/** The three steps of an upload with the retry table of spec 7.2, each on its own. */
import {
  ApiError,
  complete,
  type FileResource,
  ingestUrl,
  NetworkError,
  type Presigned,
  presign,
  type RequestUpload,
  reportPut,
  uploadStatus,
} from "@/lib/api";
import { putObject } from "./put-object";

/** Waits before the first, second and third repetition, in milliseconds (spec 7.2). */
const BACKOFF = [1_000, 2_000, 4_000] as const;
const PUT_RETRIES = 2;
const STATUS_POLL = 1_000;

/** The URL was not used within its hour; only a new presign helps. */
export class UploadExpired extends Error {
  constructor() {
    super("Upload expired, please try again.");
  }
}

/** The upload is over and cannot be completed; a new attempt begins with a new presign. */
export class UploadRejected extends Error {}

/** Wait; throws AbortError as soon as the upload is cancelled. */
export function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(new DOMException("Cancelled", "AbortError"));
    };
    if (signal.aborted) return reject(new DOMException("Cancelled", "AbortError"));
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** Whether no answer came, or one of 5xx. */
export function isAway(error: unknown): boolean {
  return error instanceof NetworkError || (error instanceof ApiError && error.status >= 500);
}

/** Three repetitions, after 1, 2 and 4 s; after a 429 when it says. Never on another 4xx. */
export function presignStep(
  request: RequestUpload,
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<Presigned> {
  return begun(() => presign(request, idempotencyKey, signal), signal);
}

/** Begun as a presign is; then the file, once the service has fetched and verified it. */
export async function ingestStep(
  request: { url: string; serviceCode: string },
  idempotencyKey: string,
  taken: (mediaId: string) => void,
  signal: AbortSignal,
): Promise<FileResource> {
  const answer = await begun(() => ingestUrl(request, idempotencyKey, signal), signal);
  if ("id" in answer) return answer;
  taken(answer.mediaId);
  return verified(answer.mediaId, signal);
}

async function begun<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      const limited = error instanceof ApiError && error.status === 429;
      const wait = BACKOFF[attempt];
      if (wait === undefined || !(limited || isAway(error))) throw error;
      const told = limited ? error.retryAfterSeconds : null;
      await pause(told === null ? wait : told * 1_000, signal);
    }
  }
}

/** Two repetitions, on a network error only. A 412 then says that the bytes had arrived after all. */
export async function putStep(
  presigned: Presigned,
  file: Blob,
  onProgress: (share: number) => void,
  signal: AbortSignal,
  repeated = false,
): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const status = await putObject(presigned, file, onProgress, signal);
      if (status >= 200 && status < 300) return;
      if (status === 412 && (attempt > 0 || repeated)) return;
      reportPut(presigned.mediaId, status, attempt + 1);
      if (status === 403) throw new UploadExpired();
      throw new UploadRejected(`The storage refused the file (${status}).`);
    } catch (error) {
      if (error instanceof NetworkError) reportPut(presigned.mediaId, 0, attempt + 1);
      const wait = BACKOFF[attempt];
      if (!(error instanceof NetworkError) || attempt >= PUT_RETRIES || wait === undefined) {
        throw error;
      }
      await pause(wait, signal);
    }
  }
}

/** Three repetitions, on a network error or 5xx only; then the file, once it is verified. */
export async function completeStep(
  mediaId: string,
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<FileResource> {
  const file = await completed(mediaId, idempotencyKey, signal);
  return file ?? (await verified(mediaId, signal));
}

async function completed(mediaId: string, idempotencyKey: string, signal: AbortSignal) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await complete(mediaId, idempotencyKey, signal);
    } catch (error) {
      if (error instanceof ApiError && [404, 409, 410].includes(error.status)) {
        throw new UploadRejected(error.message);
      }
      const wait = BACKOFF[attempt];
      if (wait === undefined || !isAway(error)) throw error;
      await pause(wait, signal);
    }
  }
}

/** Ask how a fetch or a long verification goes, until it is over. */
async function verified(mediaId: string, signal: AbortSignal): Promise<FileResource> {
  for (;;) {
    await pause(STATUS_POLL, signal);
    const status = await uploadStatus(mediaId, signal).catch((error: unknown) => {
      if (isAway(error)) return null;
      throw error;
    });
    if (status?.file) return status.file;
    if (status && !status.processing) {
      throw new UploadRejected(status.error?.error ?? `The upload was ${status.status}.`);
    }
  }
}
