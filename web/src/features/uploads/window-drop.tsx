import { Upload } from "lucide-react";
import { useEffect, useState } from "react";
import { linkIn, RULES_TEXT } from "./upload-rules";
import { uploadQueue } from "./use-media-upload";

const isEditable = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.matches("input, textarea, select"));

/** The whole window takes files that are dropped on it or pasted into it, and pasted links. */
export function WindowDrop({ serviceCode }: { serviceCode: string }) {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const holdsFiles = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    const reset = () => {
      depth = 0;
      setOver(false);
    };
    const listeners: { [Name in keyof WindowEventMap]?: (event: WindowEventMap[Name]) => void } = {
      dragenter: (event) => {
        if (!holdsFiles(event)) return;
        depth += 1;
        setOver(true);
      },
      dragleave: (event) => {
        if (holdsFiles(event) && --depth <= 0) reset();
      },
      dragover: (event) => {
        if (holdsFiles(event)) event.preventDefault();
      },
      drop: (event) => {
        if (!holdsFiles(event)) return;
        event.preventDefault();
        reset();
        uploadQueue.add([...(event.dataTransfer?.files ?? [])], serviceCode);
      },
      paste: (event) => {
        if (isEditable(event.target)) return;
        const files = [...(event.clipboardData?.files ?? [])];
        const link = linkIn(event.clipboardData?.getData("text/plain") ?? "");
        if (files.length === 0 && link === null) return;
        event.preventDefault();
        if (files.length > 0) uploadQueue.add(files, serviceCode);
        else if (link) uploadQueue.addLink(link, serviceCode);
      },
    };
    const all = [...Object.entries(listeners), ["media:dropped", reset]] as [
      string,
      EventListener,
    ][];
    for (const [name, listener] of all) window.addEventListener(name, listener);
    return () => {
      for (const [name, listener] of all) window.removeEventListener(name, listener);
    };
  }, [serviceCode]);
  if (!over) return null;
  return (
    <div className="pointer-events-none fixed inset-0 z-[100] bg-background/85 p-6 animate-in fade-in">
      <div className="stripes flex h-full flex-col items-center justify-center gap-3 border-2 border-dashed border-accent">
        <Upload className="size-8" strokeWidth={1.25} />
        <p className="bg-background px-2 text-lg font-medium">Drop to upload</p>
        <p className="bg-background px-2 text-sm text-muted-foreground">{RULES_TEXT}</p>
      </div>
    </div>
  );
}
