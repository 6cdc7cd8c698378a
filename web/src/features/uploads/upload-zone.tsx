import { Upload } from "lucide-react";
import { type DragEvent, useState } from "react";
import { Button } from "@/components/ui/button";
import { cn } from "@/lib/cn";
import { LinkForm } from "./link-form";
import { UploadButton } from "./upload-button";
import { RULES_TEXT } from "./upload-rules";
import { uploadQueue } from "./use-media-upload";

interface Props {
  serviceCode: string;
  className?: string;
}

/** Drop files here, choose them, or say where they are. */
export function UploadZone({ serviceCode, className }: Props) {
  const upload = (files: File[]) => uploadQueue.add(files, serviceCode);
  const [over, setOver] = useState(false);
  const [linking, setLinking] = useState(false);
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
            Drop files anywhere, paste them or a link, or choose
          </span>
        </p>
        <p className="mt-0.5 text-xs text-muted-foreground">
          <span className="bg-background box-decoration-clone px-1">{RULES_TEXT}</span>
        </p>
      </div>
      <div className="flex gap-2">
        <Button size="md" aria-expanded={linking} onClick={() => setLinking(!linking)}>
          From a link
        </Button>
        <UploadButton onFiles={upload} />
      </div>
      {linking && <LinkForm onLink={(link) => uploadQueue.addLink(link, serviceCode)} />}
    </section>
  );
}
