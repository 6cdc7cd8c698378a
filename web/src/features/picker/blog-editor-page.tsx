import { ImagePlus, Trash2 } from "lucide-react";
import { useState } from "react";
import { Button } from "@/components/ui/button";
import { SectionHeading } from "@/components/ui/heading";
import type { FileResource } from "@/lib/api";
import { MediaPicker } from ".";
import { MediaView } from "./media-view";

type Block = { key: string; text: string } | { key: string; file: FileResource };

const paragraph = (text = ""): Block => ({ key: crypto.randomUUID(), text });

/** How another application uses the MediaPicker: a cover, and images between paragraphs. */
export function BlogEditorPage() {
  const [title, setTitle] = useState("");
  const [cover, setCover] = useState<FileResource | null>(null);
  const [blocks, setBlocks] = useState<readonly Block[]>(() => [paragraph()]);
  /** Where the picked file goes: the cover, or behind the block with this key. */
  const [target, setTarget] = useState<string | null>(null);

  const pick = (file: FileResource) => {
    if (target === "cover") return setCover(file);
    setBlocks((now) => {
      const at = now.findIndex((block) => block.key === target) + 1;
      return [
        ...now.slice(0, at),
        { key: crypto.randomUUID(), file },
        paragraph(),
        ...now.slice(at),
      ];
    });
  };
  const stored = {
    title,
    coverMediaId: cover?.id ?? null,
    body: blocks.flatMap((block): object[] =>
      "file" in block ? [{ mediaId: block.file.id }] : block.text ? [{ text: block.text }] : [],
    ),
  };
  return (
    <div className="mx-auto max-w-3xl space-y-8 animate-in fade-in duration-500">
      <h1 className="sr-only">Blog editor</h1>
      <SectionHeading number={1}>Blog editor</SectionHeading>
      {cover ? (
        <figure className="group relative border">
          <MediaView file={cover} className="aspect-[2/1] w-full object-cover" />
          <figcaption className="absolute right-2 bottom-2 flex gap-2">
            <Button onClick={() => setTarget("cover")}>Change cover</Button>
            <Button size="icon" aria-label="Remove the cover" onClick={() => setCover(null)}>
              <Trash2 />
            </Button>
          </figcaption>
        </figure>
      ) : (
        <button
          type="button"
          onClick={() => setTarget("cover")}
          className="stripes flex aspect-[3/1] w-full flex-col items-center justify-center gap-3 border border-dashed border-input transition-colors hover:border-accent"
        >
          <ImagePlus className="size-6" strokeWidth={1.25} />
          <span className="label-caps bg-background px-2">Choose a cover image</span>
        </button>
      )}
      <input
        aria-label="Title"
        placeholder="Title"
        value={title}
        onChange={(event) => setTitle(event.target.value)}
        className="w-full border-b bg-transparent pb-3 text-4xl font-medium tracking-tight placeholder:text-muted-foreground focus-visible:outline-offset-4"
      />
      <div className="space-y-4">
        {blocks.map((block) =>
          "file" in block ? (
            <figure key={block.key} className="group relative border">
              <MediaView file={block.file} className="w-full" />
              <span className="absolute top-2 right-2">
                <Button
                  size="icon"
                  aria-label={`Remove ${block.file.fileName}`}
                  onClick={() => setBlocks(blocks.filter((one) => one !== block))}
                >
                  <Trash2 />
                </Button>
              </span>
            </figure>
          ) : (
            <div key={block.key} className="flex items-start gap-2">
              <textarea
                aria-label="Paragraph"
                placeholder="Write …"
                rows={2}
                value={block.text}
                onChange={(event) => {
                  const text = event.target.value;
                  setBlocks(blocks.map((one) => (one === block ? { ...block, text } : one)));
                }}
                className="field-sizing-content w-full resize-none bg-transparent p-2 text-base leading-relaxed placeholder:text-muted-foreground hover:bg-muted/50"
              />
              <Button
                size="icon"
                aria-label="Insert an image here"
                onClick={() => setTarget(block.key)}
              >
                <ImagePlus />
              </Button>
            </div>
          ),
        )}
      </div>
      <section className="space-y-4">
        <SectionHeading number={2}>What the blog stores</SectionHeading>
        <pre className="overflow-x-auto border bg-card p-4 font-mono text-xs leading-relaxed">
          {JSON.stringify(stored, null, 2)}
        </pre>
        <p className="text-sm text-muted-foreground">
          Ids, never addresses: an address can change or expire, and the id resolves to the current
          one.
        </p>
      </section>
      <MediaPicker
        open={target !== null}
        onOpenChange={(open) => !open && setTarget(null)}
        onPick={pick}
        serviceCode="blog"
        type="image"
        only={target === "cover"}
        title={target === "cover" ? "Choose a cover image" : "Insert an image"}
      />
    </div>
  );
}
