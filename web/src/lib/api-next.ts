/** What the service's document does not describe yet, typed by hand. */

/** The named renditions that the service makes. */
export type Preset = "thumb_200" | "og_1200x630" | "avatar_96";

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
