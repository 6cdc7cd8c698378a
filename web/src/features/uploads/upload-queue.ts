/** The uploads of this page: a few at a time, outliving navigation, waiting while the service is away. */
import { deleteFile, type FileResource, isReady, NetworkError, type Presigned } from "@/lib/api";
import { nameOfLink, refusalOf, typeOf } from "./upload-rules";
import {
  completeStep,
  ingestStep,
  isAway,
  presignStep,
  putStep,
  UploadExpired,
  UploadRejected,
} from "./upload-steps";

export type UploadState =
  | "queued"
  | "uploading"
  | "verifying"
  | "waiting"
  | "done"
  | "failed"
  | "refused"
  | "cancelled";

export interface Upload {
  readonly id: string;
  readonly name: string;
  /** In bytes; null while nobody knows. */
  readonly size: number | null;
  /** The file itself, or the address that the service fetches it from. */
  readonly source: File | string;
  readonly serviceCode: string;
  readonly state: UploadState;
  /** From 0 to 1. */
  readonly progress: number;
  readonly error: string | null;
  readonly result: FileResource | null;
}

/** How far an upload has come, so that a retry goes on from there. */
interface Attempt {
  key: string;
  presigned: Presigned | null;
  /** Of an ingest, once the service has taken it. */
  ingestId: string | null;
  putBegan: boolean;
  stored: boolean;
  abort: AbortController;
}

const PARALLEL = 3;
const PROBE_SHORTEST = 2_000;
const PROBE_LONGEST = 15_000;
export const ACTIVE: readonly UploadState[] = ["queued", "uploading", "verifying", "waiting"];

export class UploadQueue {
  private uploads: readonly Upload[] = [];
  private readonly attempts = new Map<string, Attempt>();
  private readonly listeners = new Set<() => void>();
  private readonly doneListeners = new Set<(file: FileResource) => void>();
  private probing = false;

  /** All of them, the oldest first; a new array at every change. */
  readonly snapshot = (): readonly Upload[] => this.uploads;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Called with every file that has arrived. */
  readonly onDone = (listener: (file: FileResource) => void): (() => void) => {
    this.doneListeners.add(listener);
    return () => this.doneListeners.delete(listener);
  };

  /** Upload the files; what cannot be uploaded says so at once. The ids, in the same order. */
  add(files: readonly File[], serviceCode: string): string[] {
    const added = files.map((file): Upload => {
      const error = refusalOf(file);
      const id = crypto.randomUUID();
      const state = error === null ? "queued" : "refused";
      const { name, size } = file;
      return { id, name, size, source: file, serviceCode, state, progress: 0, error, result: null };
    });
    return this.append(added);
  }

  /** Have the service fetch what a link leads to. Its id. */
  addLink(link: string, serviceCode: string): string {
    const id = crypto.randomUUID();
    const [name, size] = [nameOfLink(link), null];
    const rest = { serviceCode, state: "queued", progress: 0, error: null, result: null } as const;
    this.append([{ id, name, size, source: link, ...rest }]);
    return id;
  }

  private append(added: readonly Upload[]): string[] {
    this.set([...this.uploads, ...added]);
    this.startNext();
    return added.map((upload) => upload.id);
  }

  /** Stop it; what was begun at the service is withdrawn. */
  cancel(id: string): void {
    const upload = this.find(id);
    if (!upload || !ACTIVE.includes(upload.state)) return;
    const attempt = this.attempts.get(id);
    attempt?.abort.abort();
    this.attempts.delete(id);
    this.change(id, { state: "cancelled", error: null });
    // A pending upload is cancelled by deleting it; if that fails, the sweep does it in a day.
    const begun = attempt?.presigned?.mediaId ?? attempt?.ingestId;
    if (begun) deleteFile(begun).catch(() => undefined);
    this.startNext();
  }

  retry(id: string): void {
    const upload = this.find(id);
    if (upload?.state !== "failed" && upload?.state !== "cancelled") return;
    this.change(id, { state: "queued", error: null, progress: 0 });
    this.startNext();
  }

  retryAll(): void {
    for (const upload of this.uploads) if (upload.state === "failed") this.retry(upload.id);
  }

  cancelAll(): void {
    for (const upload of this.uploads) this.cancel(upload.id);
  }

  /** Take what is over out of the list. */
  clear(): void {
    this.set(this.uploads.filter((upload) => ACTIVE.includes(upload.state)));
  }

  private startNext(): void {
    const running = this.uploads.filter((one) => ["uploading", "verifying"].includes(one.state));
    const queued = this.uploads.filter((one) => one.state === "queued");
    for (const upload of queued.slice(0, Math.max(0, PARALLEL - running.length))) {
      void this.run(upload);
    }
  }

  private async run(upload: Upload): Promise<void> {
    const attempt = this.attemptOf(upload.id);
    this.change(upload.id, { state: "uploading" });
    try {
      const result = await this.take(upload, attempt);
      this.attempts.delete(upload.id);
      const { fileName: name, fileSize: size } = result;
      this.change(upload.id, { state: "done", progress: 1, result, name, size });
      for (const listener of this.doneListeners) listener(result);
    } catch (error) {
      if (!attempt.abort.signal.aborted) this.fail(upload.id, attempt, error);
    }
    this.startNext();
  }

  private async take(upload: Upload, attempt: Attempt): Promise<FileResource> {
    const { source: file, serviceCode } = upload;
    const { signal } = attempt.abort;
    if (typeof file === "string") {
      this.change(upload.id, { state: "verifying", progress: 0 });
      const taken = (mediaId: string) => {
        attempt.ingestId = mediaId;
      };
      return ingestStep({ url: file, serviceCode }, attempt.key, taken, signal);
    }
    attempt.presigned ??= await presignStep(
      { fileName: file.name, contentType: typeOf(file), fileSize: file.size, serviceCode },
      attempt.key,
      signal,
    );
    if (!attempt.stored) {
      const repeated = attempt.putBegan;
      attempt.putBegan = true;
      const progress = (share: number) => this.change(upload.id, { progress: share });
      await putStep(attempt.presigned, file, progress, signal, repeated);
      attempt.stored = true;
    }
    this.change(upload.id, { state: "verifying", progress: 1 });
    return completeStep(attempt.presigned.mediaId, attempt.key, signal);
  }

  private fail(id: string, attempt: Attempt, error: unknown): void {
    const putFailed = attempt.presigned !== null && !attempt.stored;
    if (isAway(error) && !(putFailed && navigator.onLine)) {
      this.change(id, { state: "waiting", error: "Waiting for the service …" });
      void this.probe();
      return;
    }
    if (error instanceof UploadExpired || error instanceof UploadRejected) this.attempts.delete(id);
    const text =
      error instanceof NetworkError && putFailed
        ? "The connection to the storage broke off."
        : error instanceof Error
          ? error.message
          : "Something went wrong.";
    this.change(id, { state: "failed", error: text });
  }

  /** Ask until the service is back, then let everything that waits go on. */
  private async probe(): Promise<void> {
    if (this.probing) return;
    this.probing = true;
    for (let wait = PROBE_SHORTEST; ; wait = Math.min(wait * 2, PROBE_LONGEST)) {
      await waitOrOnline(wait);
      if (!this.uploads.some((upload) => upload.state === "waiting")) break;
      if (await isReady()) break;
    }
    this.probing = false;
    this.set(
      this.uploads.map((upload) =>
        upload.state === "waiting" ? { ...upload, state: "queued", error: null } : upload,
      ),
    );
    this.startNext();
  }

  private attemptOf(id: string): Attempt {
    const known = this.attempts.get(id);
    if (known) return known;
    // A new presign takes a new key: the old one would bring the old, dead upload back.
    const key = crypto.randomUUID();
    const abort = new AbortController();
    const attempt = { key, presigned: null, ingestId: null, putBegan: false, stored: false, abort };
    this.attempts.set(id, attempt);
    return attempt;
  }

  private find(id: string): Upload | undefined {
    return this.uploads.find((upload) => upload.id === id);
  }

  private change(id: string, change: Partial<Upload>): void {
    this.set(this.uploads.map((upload) => (upload.id === id ? { ...upload, ...change } : upload)));
  }

  private set(uploads: readonly Upload[]): void {
    this.uploads = uploads;
    for (const listener of this.listeners) listener();
  }
}

/** Wait so long, or until the browser says that there is a network again. */
function waitOrOnline(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      clearTimeout(timer);
      window.removeEventListener("online", go);
      resolve();
    };
    const timer = setTimeout(go, milliseconds);
    window.addEventListener("online", go);
  });
}
