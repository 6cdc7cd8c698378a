/** Where the picture of a file comes from: its rendition, or an original that is small enough. */
import { queryOptions, useQuery } from "@tanstack/react-query";
import type { CSSProperties } from "react";
import { type FileResource, type Preset, signedUrl } from "@/lib/api";
import { useSettled } from "@/lib/hooks";
import { placeholderUrl } from "@/lib/thumbhash";

/** An original up to here may stand in for a thumbnail that does not exist. */
const MAX_INLINE_ORIGINAL_BYTES = 2 * 1024 * 1024;
/** A drawing up to here is smaller than most thumbnails, and shows its text in the reader's fonts. */
const MAX_DRAWING_BYTES = 64 * 1024;
/** A private picture that is scrolled past is not asked for. */
const SETTLED_MS = 150;
const SAFETY_MS = 60_000;

/** What to show of a file: one of its renditions, itself, or nothing but a symbol. */
export type Picture = { preset: Preset } | "original" | null;

/** The smallest picture that shows a file; never a video or a document itself. */
export function pictureOf(file: FileResource, preset: Preset = "thumb_200"): Picture {
  const variant = file.variants[preset];
  const drawing = file.mimeType === "image/svg+xml" && file.fileSize <= MAX_DRAWING_BYTES;
  // Once it has a thumbnail it stands where its address says.
  if (drawing && variant?.status === "ready") return "original";
  if (variant && variant.status !== "failed") return { preset };
  const small = file.category === "image" && file.fileSize <= MAX_INLINE_ORIGINAL_BYTES;
  return small ? "original" : null;
}

/** Whether the picture of a new file is on its way: who asked for it now would wait for it. */
export function isBeingMade(file: FileResource, picture: Picture): boolean {
  if (picture === null || picture === "original" || file.processing == null) return false;
  return file.variants[picture.preset]?.status === "on_demand";
}

/** A file that comes back from the bin, whose pictures are made anew: the old addresses are void. */
export function cameBack(file: FileResource): FileResource {
  const variants = Object.entries(file.variants).map(([preset, variant]) => [
    preset,
    variant?.status === "ready" ? { ...variant, status: "on_demand" } : variant,
  ]);
  return { ...file, processing: "moving", variants: Object.fromEntries(variants) };
}

/** Where everybody may fetch it; null for what is private. */
export function publicUrl(file: FileResource, picture: Picture): string | null {
  if (picture === null) return null;
  return picture === "original" ? file.url : (file.variants[picture.preset]?.url ?? null);
}

const signedQuery = (id: string, preset: Preset | undefined) =>
  queryOptions({
    queryKey: ["signed", id, preset ?? "original"],
    queryFn: ({ signal }) => signedUrl(id, preset, signal),
    // One that has run out is asked for anew before it is shown again.
    staleTime: ({ state }) => {
      const ends = state.data ? Date.parse(state.data.expiresAt) : 0;
      return Math.max(0, ends - state.dataUpdatedAt - SAFETY_MS);
    },
    retry: 1,
  });

/** A URL of a private file, or of its rendition, that works for now. Null until it is there. */
export function useSignedUrl(file: FileResource, picture: Picture): string | null {
  const preset = picture === null || picture === "original" ? undefined : picture.preset;
  const settled = useSettled<string | null>(file.id, SETTLED_MS, null);
  const enabled = picture !== null && settled === file.id;
  return useQuery({ ...signedQuery(file.id, preset), enabled }).data?.url ?? null;
}

/** What a file looks like until its picture is there. */
export function placeholderStyle(file: FileResource): CSSProperties | undefined {
  const { dominantColor, placeholder } = file;
  if (!dominantColor && !placeholder) return undefined;
  const picture = placeholder ? placeholderUrl(placeholder) : null;
  return {
    ...(dominantColor && { backgroundColor: dominantColor }),
    ...(picture && { backgroundImage: `url(${picture})`, backgroundSize: "100% 100%" }),
  };
}
