import type { Category, FileResource } from "./api";

const MEBIBYTE = 1024 * 1024;

/** What may be uploaded (spec 5.3), by type, with the extension that its key gets. */
export const MEDIA_TYPES: Readonly<Record<string, { category: Category; extension: string }>> = {
  "image/jpeg": { category: "image", extension: "jpg" },
  "image/png": { category: "image", extension: "png" },
  "image/webp": { category: "image", extension: "webp" },
  "image/gif": { category: "image", extension: "gif" },
  "image/svg+xml": { category: "image", extension: "svg" },
  "image/avif": { category: "image", extension: "avif" },
  "video/mp4": { category: "video", extension: "mp4" },
  "video/webm": { category: "video", extension: "webm" },
  "application/pdf": { category: "document", extension: "pdf" },
};
export const MAX_FILE_BYTES = 10 * MEBIBYTE;
/** What to write into a Markdown text to show the file, or link to it. */
export function markdownOf(file: FileResource): string {
  const text = file.fileName.replace(/[\\[\]]/g, "\\$&");
  return `${file.category === "image" ? "!" : ""}[${text}](${file.url})`;
}

export function extensionOf(file: FileResource): string {
  return MEDIA_TYPES[file.mimeType]?.extension ?? "file";
}
