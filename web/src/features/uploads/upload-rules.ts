import { MAX_FILE_BYTES, MEDIA_TYPES } from "@/lib/files";
import { formatBytes } from "@/lib/format";

/** What the file picker offers. */
export const ACCEPT = Object.keys(MEDIA_TYPES).join(",");
export const RULES_TEXT = "JPG, PNG, WebP, GIF, SVG, AVIF, MP4, WebM, PDF · up to 10 MB";

/** Why the file cannot be uploaded, said before a byte moves; null when it can. */
export function refusalOf(file: File): string | null {
  if (!(file.type in MEDIA_TYPES)) {
    return `This type (${file.type || "unknown"}) is not accepted.`;
  }
  if (file.size === 0) return "The file is empty.";
  if (file.size > MAX_FILE_BYTES) {
    return `The file is larger than the ${formatBytes(MAX_FILE_BYTES)} allowed.`;
  }
  return null;
}
