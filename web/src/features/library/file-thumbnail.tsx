import { FileText, Film, Image as ImageIcon } from "lucide-react";
import { useState } from "react";
import type { FileResource, Preset } from "@/lib/api";
import { cn } from "@/lib/cn";
import { extensionOf } from "@/lib/files";
import { formatDuration } from "@/lib/format";
import { usePatience } from "@/lib/hooks";
import { isPresent } from "./file-cache";
import { isBeingMade, pictureOf, placeholderStyle, publicUrl, useSignedUrl } from "./pictures";

const ICONS = { image: ImageIcon, video: Film, document: FileText };
/** A rendition that is being made, or a file that is being moved, is there a little later. */
const RETRY_MS = [1_000, 3_000, 9_000] as const;
/** The live library tells when the picture of a new file is made; this long it is left to do so. */
const NEWS_MS = 15_000;

interface Props {
  file: FileResource;
  preset?: Preset;
  className?: string;
}

/** A picture of the file where there is a small one, else a symbol of its kind. */
export function FileThumbnail({ file, preset, className }: Props) {
  const picture = pictureOf(file, preset);
  const waiting = usePatience(isBeingMade(file, picture), NEWS_MS);
  const url = waiting ? null : publicUrl(file, picture);
  return (
    <span
      style={placeholderStyle(file)}
      className={cn(
        "@container relative flex items-center justify-center overflow-hidden bg-muted",
        className,
      )}
    >
      {url ? (
        <Picture key={url} file={file} url={url} />
      ) : picture && !file.isPublic && !waiting ? (
        <PrivatePicture file={file} preset={preset} />
      ) : (
        <KindSymbol file={file} />
      )}
      {file.category === "video" && file.durationMs != null && (
        <span
          data-duration={formatDuration(file.durationMs)}
          className="absolute right-1.5 bottom-1.5 bg-black/75 px-1 text-[10px] leading-4 text-white tabular-nums before:content-[attr(data-duration)] @max-[4rem]:hidden"
        />
      )}
    </span>
  );
}

function PrivatePicture({ file, preset }: { file: FileResource; preset: Preset | undefined }) {
  const url = useSignedUrl(file, pictureOf(file, preset));
  return url ? <Picture key={url} file={file} url={url} /> : <KindSymbol file={file} />;
}

function Picture({ file, url }: { file: FileResource; url: string }) {
  /** How often it was tried; null while it is broken. */
  const [attempt, setAttempt] = useState<number | null>(0);
  const [loaded, setLoaded] = useState(false);
  const failed = async () => {
    const tried = attempt ?? 0;
    setAttempt(null);
    const wait = RETRY_MS[tried];
    if ((await isPresent(file)) && wait !== undefined) {
      setTimeout(() => setAttempt(tried + 1), wait);
    }
  };
  if (attempt === null) return <KindSymbol file={file} />;
  return (
    <img
      key={attempt}
      src={url}
      alt=""
      loading="lazy"
      decoding="async"
      draggable={false}
      // What shines through a picture is not the placeholder, which has its own colour.
      className={cn("size-full object-cover", loaded && "bg-muted")}
      onLoad={() => setLoaded(true)}
      onError={() => void failed()}
    />
  );
}

function KindSymbol({ file }: { file: FileResource }) {
  const Icon = ICONS[file.category];
  // What is behind it may be of any colour then.
  const shaded = Boolean(file.placeholder ?? file.dominantColor);
  return (
    <span
      className={cn(
        "flex flex-col items-center gap-2 text-muted-foreground",
        shaded && "bg-background/85 px-2 py-1.5",
      )}
    >
      <Icon aria-hidden className="size-[35%] max-h-8 min-h-4 max-w-8 min-w-4" strokeWidth={1.25} />
      <span
        data-extension={extensionOf(file)}
        className="label-caps before:content-[attr(data-extension)] @max-[4rem]:hidden"
      />
    </span>
  );
}
