/** What the service's document does not describe yet, typed by hand. */

/** One rendition of a file. `on_demand` is made when somebody asks for it the first time. */
export interface Variant {
  url: string | null;
  status: "ready" | "on_demand" | "failed";
  error: string | null;
}

/** The named renditions that the service makes. */
export type Preset = "thumb_200" | "og_1200x630" | "avatar_96";

export interface FileFacts {
  width?: number | null;
  height?: number | null;
  durationMs?: number | null;
  pageCount?: number | null;
  sha256?: string | null;
  /** ThumbHash, in base64. */
  placeholder?: string | null;
  dominantColor?: string | null;
  variants?: Partial<Record<Preset, Variant>>;
}

export interface Signed {
  url: string;
  expiresAt: string;
}

interface Plain<Path, Data> {
  parameters: { query?: never; header?: never; path: Path; cookie?: never };
  requestBody?: never;
  responses: { 200: { headers: never; content: { "application/json": Data } } };
}
type Simple<Path, Body, Data> = Omit<Plain<Path, Data>, "requestBody"> & {
  requestBody: { content: { "application/json": Body } };
};
type ById = { media_id: string };
type Post<Operation> = { post: Operation };

export interface NextPaths {
  "/files/{media_id}/purge-cache": Post<Plain<ById, unknown>>;
  "/files/{media_id}/signed-url": Post<Simple<ById, { variant?: Preset }, Signed>>;
}
