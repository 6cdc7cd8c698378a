import createClient, { type Middleware } from "openapi-fetch";
import type { components, paths } from "./api-types";

export type FileResource = components["schemas"]["FileResource"];
export type Variant = components["schemas"]["Variant"];
/** The named renditions that the service makes. */
export type Preset = "thumb_200" | "og_1200x630" | "avatar_96";
type Signed = components["schemas"]["SignedUrl"];
type SignedUrlBody = components["schemas"]["RequestSignedUrl"];
export type Category = FileResource["category"];
export type FileList = components["schemas"]["FileList"];
export type StorageStats = components["schemas"]["StorageStats"];
export type HistoryEntry = components["schemas"]["HistoryEntry"];
export type Presigned = components["schemas"]["Presigned"];
type RequestUploadBody = components["schemas"]["RequestUpload"];
/** Type and service are what a file and a page say they are: the service refuses the others. */
export type RequestUpload = Pick<RequestUploadBody, "fileName" | "fileSize"> & {
  contentType: string;
  serviceCode: string;
};
export type UploadStatus = components["schemas"]["UploadStatus"];
export type BulkDeleted = components["schemas"]["BulkDeleted"];
export type ListQuery = NonNullable<paths["/files"]["get"]["parameters"]["query"]>;

/** The service refused; `code` is one of its stable codes (spec 7.1). */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly retryAfterSeconds: number | null = null,
  ) {
    super(message);
  }
}

/** No answer came at all. */
export class NetworkError extends Error {
  constructor() {
    super("Media Service cannot be reached.");
  }
}

/** The gateway adds who is asking, so no caller names it. */
type Asked<Operation> = Operation extends { parameters: infer P }
  ? Omit<Operation, "parameters"> & {
      parameters: Omit<P, "header"> & { header?: { "Idempotency-Key"?: string } };
    }
  : Operation;
type GatewayPaths = {
  [Path in keyof paths]: { [Method in keyof paths[Path]]: Asked<paths[Path][Method]> };
};

let lastPosition = 0n;
let tellFirstRead: (position: string) => void = () => undefined;
/** Where the log stood at the first query of the page: all that came later is news to it. */
export const firstRead = new Promise<string>((tell) => {
  tellFirstRead = tell;
});

/** Read your writes: what a command has written, the queries after it wait for. */
const positions: Middleware = {
  onRequest({ request }) {
    if (request.method === "GET" && lastPosition > 0n) {
      request.headers.set("media-position", String(lastPosition));
    }
    return request;
  },
  onResponse({ request, response }) {
    const position = response.headers.get("media-position");
    if (request.method === "GET" && position !== null) tellFirstRead(position);
    if (request.method !== "GET" && position !== null && BigInt(position) > lastPosition) {
      lastPosition = BigInt(position);
    }
    return response;
  },
};

const client = createClient<GatewayPaths>({
  baseUrl: "/api/media",
  fetch: (request) => globalThis.fetch(request),
});
client.use(positions);

type Answering<T> = Promise<{ data?: T; error?: unknown; response: Response }>;

/** The body of a success. Throws ApiError or NetworkError; an abort stays an AbortError. */
async function body<T>(asked: Answering<T>): Promise<T> {
  return (await answered(asked)).data;
}

async function answered<T>(asked: Answering<T>): Promise<{ data: T; response: Response }> {
  const { data, error, response } = await asked.catch((problem: unknown) => {
    if (problem instanceof DOMException && problem.name === "AbortError") throw problem;
    throw new NetworkError();
  });
  if (response.ok) return { data: data as T, response };
  const told = (typeof error === "object" && error !== null ? error : {}) as Record<
    string,
    unknown
  >;
  const after = Number(response.headers.get("retry-after"));
  throw new ApiError(
    response.status,
    String(told.code ?? "INTERNAL_ERROR"),
    String(told.error ?? `The service answered ${response.status}.`),
    Number.isFinite(after) && after > 0 ? after : null,
  );
}

export function listFiles(query: ListQuery, signal: AbortSignal): Promise<FileList> {
  return body(client.GET("/files", { params: { query }, signal }));
}

export function fileStats(signal: AbortSignal): Promise<StorageStats> {
  return body(client.GET("/files/stats", { signal }));
}

export function getFile(media_id: string, signal?: AbortSignal): Promise<FileResource> {
  const options = signal ? { signal } : {};
  return body(client.GET("/files/{media_id}", { params: { path: { media_id } }, ...options }));
}

export async function fileHistory(media_id: string, signal: AbortSignal): Promise<HistoryEntry[]> {
  const asked = client.GET("/files/{media_id}/history", { params: { path: { media_id } }, signal });
  return (await body(asked)).items;
}

/** What a command is called, so that it can be undone; null where the service does not say. */
export type CommandId = string | null;

async function commanded<T>(asked: Answering<T>): Promise<{ data: T; command: CommandId }> {
  const { data, response } = await answered(asked);
  return { data, command: response.headers.get("media-command-id") };
}

/** Never repeated by itself (spec 7.2). */
export async function deleteFile(media_id: string): Promise<CommandId> {
  const path = { media_id };
  return (await commanded(client.DELETE("/files/{media_id}", { params: { path } }))).command;
}

/** Up to 100 ids; says of each that stayed why. Never repeated by itself. */
export function bulkDelete(ids: string[]): Promise<{ data: BulkDeleted; command: CommandId }> {
  return commanded(client.POST("/files/bulk-delete", { body: { ids } }));
}

/** Take back exactly what one command did. */
export async function undoCommand(command_id: string): Promise<void> {
  await body(client.POST("/commands/{command_id}/undo", { params: { path: { command_id } } }));
}

/** Bring a file back out of the bin. */
export function restoreFile(media_id: string): Promise<FileResource> {
  return body(client.POST("/files/{media_id}/restore", { params: { path: { media_id } } }));
}

/** Remove a file of the bin for good. */
export async function purgeFile(media_id: string): Promise<void> {
  await body(client.POST("/files/{media_id}/purge", { params: { path: { media_id } } }));
}

export function changeVisibility(media_id: string, isPublic: boolean): Promise<FileResource> {
  const params = { path: { media_id } };
  return body(client.PATCH("/files/{media_id}", { params, body: { isPublic } }));
}

/** Have every cache forget the file, its renditions included. */
export async function purgeCache(media_id: string): Promise<void> {
  await body(client.POST("/files/{media_id}/purge-cache", { params: { path: { media_id } } }));
}

/** A URL for a private file, or one of its renditions, that works for a while. */
export function signedUrl(
  media_id: string,
  variant: Preset | undefined,
  signal: AbortSignal,
): Promise<Signed> {
  const params = { path: { media_id } };
  const wanted = (variant === undefined ? {} : { variant }) as SignedUrlBody;
  return body(client.POST("/files/{media_id}/signed-url", { params, body: wanted, signal }));
}

export function presign(
  request: RequestUpload,
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<Presigned> {
  const params = { header: { "Idempotency-Key": idempotencyKey } };
  const whole = { ...request, isPublic: true, scope: null, sha256: null } as RequestUploadBody;
  return body(client.POST("/upload/presign", { body: whole, params, signal }));
}

/** Tell the service of a PUT that failed, which it cannot see; nobody waits for the answer. */
export function reportPut(mediaId: string, status: number, attempt: number): void {
  const report = { mediaId, stage: "put" as const, status, attempt };
  client.POST("/upload/report", { body: report }).catch(() => undefined);
}

/** The file, or null while a worker goes on verifying it. */
export async function complete(
  mediaId: string,
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<FileResource | null> {
  const params = { header: { "Idempotency-Key": idempotencyKey } };
  const answer = await body(
    client.PATCH("/upload/complete", { body: { mediaId }, params, signal }),
  );
  return "id" in answer ? answer : null;
}

/** Have the service fetch what a URL leads to. The file, or the id of one that is still to come. */
export async function ingestUrl(
  request: { url: string; serviceCode: string },
  idempotencyKey: string,
  signal: AbortSignal,
): Promise<FileResource | { mediaId: string }> {
  const params = { header: { "Idempotency-Key": idempotencyKey } };
  const whole = { fileName: null, isPublic: true, scope: null, ...request };
  return body(
    client.POST("/upload/ingest-url", {
      body: whole as components["schemas"]["IngestUrl"],
      params,
      // The tray shows how it goes, so that no request has to wait for a slow source.
      headers: { prefer: "respond-async" },
      signal,
    }),
  );
}

export function uploadStatus(media_id: string, signal: AbortSignal): Promise<UploadStatus> {
  return body(client.GET("/upload/{media_id}", { params: { path: { media_id } }, signal }));
}

/** Whether the service and all it stands on answer. */
export async function isReady(): Promise<boolean> {
  try {
    return (await fetch("/api/media/ready", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Goes to a short-lived URL that downloads the file under its own name. */
export function downloadUrl(id: string): string {
  return `/api/media/files/${encodeURIComponent(id)}/download`;
}

/** The library as it changes, from a position of the log on. */
export function liveUrl(after: string): string {
  return `/api/media/files/events?after=${encodeURIComponent(after)}`;
}
