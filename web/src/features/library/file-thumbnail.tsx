import { FileText, Film, Image as ImageIcon } from "lucide-react";
import { useState } from "react";
import type { FileResource } from "@/lib/api";
import { cn } from "@/lib/cn";
import { extensionOf, thumbnailUrl } from "@/lib/files";
import { checkPresence } from "./file-cache";

const ICONS = { image: ImageIcon, video: Film, document: FileText };

/** A picture of the file where there is a small one, else a symbol of its kind. */
export function FileThumbnail({ file, className }: { file: FileResource; className?: string }) {
  const [broken, setBroken] = useState(false);
  const url = thumbnailUrl(file);
  const Icon = ICONS[file.category];
  return (
    <span
      className={cn(
        "@container flex items-center justify-center overflow-hidden bg-muted",
        className,
      )}
    >
      {url && !broken ? (
        <img
          src={url}
          alt=""
          loading="lazy"
          decoding="async"
          draggable={false}
          className="size-full object-cover"
          onError={() => {
            setBroken(true);
            void checkPresence(file);
          }}
        />
      ) : (
        <span className="flex flex-col items-center gap-2 text-muted-foreground">
          <Icon
            aria-hidden
            className="size-[35%] max-h-8 min-h-4 max-w-8 min-w-4"
            strokeWidth={1.25}
          />
          <span
            data-extension={extensionOf(file)}
            className="label-caps before:content-[attr(data-extension)] @max-[4rem]:hidden"
          />
        </span>
      )}
    </span>
  );
}
