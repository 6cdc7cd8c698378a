import { Upload } from "lucide-react";
import { type DragEvent, useState } from "react";
import { cn } from "@/lib/cn";
import { UploadButton } from "./upload-button";
import { RULES_TEXT } from "./upload-rules";
import { uploadQueue } from "./use-media-upload";

interface Props {
  serviceCode: string;
  className?: string;
  /** Instead of the page's own queue. */
  onFiles?: (files: File[]) => void;
}

/** Drop files here, or choose them. */
export function UploadZone({ serviceCode, className, onFiles }: Props) {
  const upload = onFiles ?? ((files) => uploadQueue.add(files, serviceCode));
  const [over, setOver] = useState(false);
  const drop = (event: DragEvent) => {
    event.preventDefault();
    event.stopPropagation();
    setOver(false);
    window.dispatchEvent(new Event("media:dropped"));
    upload([...event.dataTransfer.files]);
  };
  return (
    <section
      aria-label="Upload files"
      onDragOver={(event) => {
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
      className={cn(
        "stripes flex flex-wrap items-center gap-x-4 gap-y-3 border border-dashed border-input p-4 transition-colors",
        over && "border-accent bg-muted",
        className,
      )}
    >
      <span className="flex size-10 shrink-0 items-center justify-center border border-border bg-background">
        <Upload className="size-4" strokeWidth={1.5} />
      </span>
      <div className="min-w-0 flex-1 basis-48">
        <p className="text-sm font-medium">
          <span className="bg-background box-decoration-clone px-1">
            Drop files anywhere, paste, or choose
          </span>
        </p>
        <p className="mt-0.5 text-xs text-muted-foreground">
          <span className="bg-background box-decoration-clone px-1">{RULES_TEXT}</span>
        </p>
      </div>
      <UploadButton onFiles={upload} />
    </section>
  );
}
