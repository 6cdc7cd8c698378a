import { FileText } from "lucide-react";
import { useState } from "react";
import { Skeleton } from "@/components/ui/states";
import type { FileResource } from "@/lib/api";
import { isPresent } from "./file-cache";
import { pictureOf, placeholderStyle, publicUrl, useSignedUrl } from "./pictures";

/** The file itself, each kind in the element made for it; an SVG only ever as an image. */
export function FilePreview({ file }: { file: FileResource }) {
  if (file.url !== null) {
    const poster = publicUrl(file, pictureOf(file, "og_1200x630"));
    return <Preview key={file.url} file={file} url={file.url} poster={poster} />;
  }
  return <PrivatePreview key={file.id} file={file} />;
}

function PrivatePreview({ file }: { file: FileResource }) {
  const url = useSignedUrl(file, "original");
  const video = file.category === "video";
  const poster = useSignedUrl(file, video ? pictureOf(file, "og_1200x630") : null);
  if (url === null) return <Skeleton className="aspect-[4/3]" />;
  return <Preview file={file} url={url} poster={poster} />;
}

interface Props {
  file: FileResource;
  url: string;
  poster: string | null;
}

function Preview({ file, url, poster }: Props) {
  const { fileName } = file;
  switch (file.category) {
    case "image":
      return <ImagePreview file={file} url={url} />;
    case "video":
      return (
        // biome-ignore lint/a11y/useMediaCaption: people's own videos come without captions
        <video
          src={url}
          poster={poster ?? undefined}
          controls
          preload="metadata"
          aria-label={fileName}
          className="aspect-video w-full bg-black"
        />
      );
    case "document":
      return navigator.pdfViewerEnabled ? (
        <iframe src={url} title={fileName} className="aspect-[3/4] max-h-[60vh] w-full bg-muted" />
      ) : (
        <a
          href={url}
          target="_blank"
          rel="noreferrer"
          className="stripes flex aspect-[4/3] flex-col items-center justify-center gap-3 text-sm"
        >
          <FileText className="size-8" strokeWidth={1.25} />
          <span className="bg-background px-2 underline underline-offset-4">Open the document</span>
        </a>
      );
  }
}

function ImagePreview({ file, url }: Omit<Props, "poster">) {
  const [loaded, setLoaded] = useState(false);
  const { width, height } = file;
  // Until it is there, what it roughly looks like stands in its place and shape.
  const size = width && height ? { width, height } : {};
  return (
    <div className="stripes flex aspect-[4/3] items-center justify-center bg-muted/40">
      <img
        {...size}
        src={url}
        alt={file.fileName}
        decoding="async"
        style={loaded ? undefined : placeholderStyle(file)}
        className="h-auto max-h-full w-auto max-w-full object-contain"
        onLoad={() => setLoaded(true)}
        onError={() => void isPresent(file)}
      />
    </div>
  );
}
