import { pictureOf, publicUrl, useSignedUrl } from "@/features/library/pictures";
import type { FileResource } from "@/lib/api";

/** A picked file as a page shows it: an image, a video, or a link to a document. */
export function MediaView({ file, className }: { file: FileResource; className?: string }) {
  const signed = useSignedUrl(file, file.url === null ? "original" : null);
  const url = file.url ?? signed ?? undefined;
  if (file.category === "image") return <img src={url} alt={file.fileName} className={className} />;
  if (file.category === "document") {
    return (
      <a href={url} target="_blank" rel="noreferrer" className="block p-4 underline">
        {file.fileName}
      </a>
    );
  }
  const poster = publicUrl(file, pictureOf(file, "og_1200x630")) ?? undefined;
  return (
    // biome-ignore lint/a11y/useMediaCaption: people's own videos come without captions
    <video src={url} poster={poster} controls aria-label={file.fileName} className={className} />
  );
}
