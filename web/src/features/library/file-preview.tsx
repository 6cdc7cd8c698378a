import { FileText, Lock } from "lucide-react";
import type { FileResource } from "@/lib/api";
import { checkPresence } from "./file-cache";

/** The file itself, each kind in the element made for it; an SVG only ever as an image. */
export function FilePreview({ file }: { file: FileResource }) {
  const { url, fileName } = file;
  if (url === null) {
    return (
      <div className="stripes flex aspect-[4/3] flex-col items-center justify-center gap-2 text-sm text-muted-foreground">
        <Lock className="size-5" />
        <span className="bg-background px-2">A private file: download it to see it.</span>
      </div>
    );
  }
  switch (file.category) {
    case "image":
      return (
        <div className="stripes flex aspect-[4/3] items-center justify-center bg-muted/40">
          <img
            key={url}
            src={url}
            alt={fileName}
            decoding="async"
            className="max-h-full max-w-full object-contain"
            onError={() => void checkPresence(file)}
          />
        </div>
      );
    case "video":
      return (
        // biome-ignore lint/a11y/useMediaCaption: people's own videos come without captions
        <video
          key={url}
          src={url}
          controls
          preload="metadata"
          aria-label={fileName}
          className="aspect-video w-full bg-black"
        />
      );
    case "document":
      return navigator.pdfViewerEnabled ? (
        <iframe
          key={url}
          src={url}
          title={fileName}
          className="aspect-[3/4] max-h-[60vh] w-full bg-muted"
        />
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
