import { MAX_FILE_BYTES, MEDIA_TYPES } from "@/lib/files";
import { formatBytes } from "@/lib/format";

/** What the file picker offers. */
export const ACCEPT = Object.keys(MEDIA_TYPES).join(",");
export const RULES_TEXT = "JPG, PNG, WebP, GIF, SVG, AVIF, MP4, WebM, PDF · up to 10 MB";

/** What the file says it is; some systems know no type for it and leave that to its name. */
export function typeOf(file: File): string {
  if (file.type) return file.type;
  const extension = file.name.split(".").at(-1)?.toLowerCase();
  const found = Object.entries(MEDIA_TYPES).find(([, one]) => one.extension === extension);
  return found?.[0] ?? "";
}

/** Why the file cannot be uploaded, said before a byte moves; null when it can. */
export function refusalOf(file: File): string | null {
  const type = typeOf(file);
  if (!(type in MEDIA_TYPES)) {
    return `This type (${type || "unknown"}) is not accepted.`;
  }
  if (file.size === 0) return "The file is empty.";
  if (file.size > MAX_FILE_BYTES) {
    return `The file is larger than the ${formatBytes(MAX_FILE_BYTES)} allowed.`;
  }
  return null;
}

/** The address in a text that is nothing else; null when it is none that could be fetched. */
export function linkIn(text: string): string | null {
  const trimmed = text.trim();
  if (!/^https?:\/\/\S+$/i.test(trimmed) || !URL.canParse(trimmed)) return null;
  return trimmed;
}

/** What to call the file of a link until it has a name of its own. */
export function nameOfLink(link: string): string {
  const { host, pathname } = new URL(link);
  const last = pathname.split("/").filter(Boolean).at(-1);
  try {
    return last ? decodeURIComponent(last) : host;
  } catch {
    return last ?? host;
  }
}
