/** Follows `GET /files/events`: what others do to the library shows on the page as it happens. */
import { type FileResource, liveUrl } from "@/lib/api";

/** What the page does about the news; they come in batches. */
export interface News {
  show: (files: FileResource[]) => void;
  left: (ids: ReadonlySet<string>) => void;
  /** Some news were missed: list anew. */
  missed: () => void;
}

const BATCH_MS = 100;
/** A page that nobody sees gives its connection back: a browser has six for one HTTP/1.1 server. */
const HIDDEN_MS = 30_000;
const RETRY_MS = [2_000, 5_000, 15_000, 30_000] as const;

export class LiveLibrary {
  private source: EventSource | null = null;
  private pending = new Map<string, FileResource | null>();
  private flushing: ReturnType<typeof setTimeout> | undefined;
  private waiting: ReturnType<typeof setTimeout> | undefined;
  private failures = 0;

  constructor(
    private position: string,
    private readonly news: News,
  ) {}

  /** Begin; the answer ends it. */
  start(): () => void {
    document.addEventListener("visibilitychange", this.seen);
    if (!document.hidden) this.open();
    return () => {
      document.removeEventListener("visibilitychange", this.seen);
      clearTimeout(this.flushing);
      this.close();
    };
  }

  private readonly seen = () => {
    clearTimeout(this.waiting);
    if (document.hidden) this.waiting = setTimeout(() => this.close(), HIDDEN_MS);
    else if (this.source === null) this.open();
  };

  private open(): void {
    this.close();
    const source = new EventSource(liveUrl(this.position));
    this.source = source;
    const hear = (name: string, act: (data: string) => void) =>
      source.addEventListener(name, (event: MessageEvent<string>) => {
        if (event.lastEventId) this.position = event.lastEventId;
        act(event.data);
      });
    const shown = (data: string) => {
      const file: FileResource = JSON.parse(data);
      this.collect(file.id, file);
    };
    hear("file.added", shown);
    hear("file.changed", shown);
    hear("file.removed", (data) => this.collect(JSON.parse(data).id, null));
    hear("resync", () => {
      this.pending.clear();
      this.news.missed();
    });
    source.onopen = () => {
      this.failures = 0;
    };
    source.onerror = () => {
      // The browser connects again by itself, except after an answer that is no stream.
      if (source.readyState !== EventSource.CLOSED || this.source !== source) return;
      this.close();
      const wait = RETRY_MS[Math.min(this.failures, RETRY_MS.length - 1)];
      this.failures += 1;
      this.waiting = setTimeout(() => this.open(), wait);
    };
  }

  private close(): void {
    clearTimeout(this.waiting);
    this.source?.close();
    this.source = null;
  }

  private collect(id: string, file: FileResource | null): void {
    // The latest counts; it also goes to the end, so that the order is that of the log.
    this.pending.delete(id);
    this.pending.set(id, file);
    this.flushing ??= setTimeout(() => {
      this.flushing = undefined;
      const batch = this.pending;
      this.pending = new Map();
      const files = [...batch.values()].filter((one) => one !== null);
      const gone = new Set([...batch].filter(([, one]) => one === null).map(([one]) => one));
      if (gone.size > 0) this.news.left(gone);
      if (files.length > 0) this.news.show(files);
    }, BATCH_MS);
  }
}
