import { Download, Link2, RefreshCw, Trash2 } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "@/components/ui/button";
import { Badge } from "@/components/ui/heading";
import { Switch } from "@/components/ui/switch";
import { downloadUrl, type FileResource } from "@/lib/api";
import { copy } from "@/lib/copy";
import { markdownOf } from "@/lib/files";
import { formatBytes, formatDuration, formatMoment } from "@/lib/format";
import { FileHistory } from "./file-history";
import { FilePreview } from "./file-preview";
import { useCachePurge, useVisibility } from "./use-visibility";

interface Props {
  file: FileResource;
  canWrite: boolean;
  onDelete: (file: FileResource) => void;
}

/** What is known of a file, and what can be done with it. */
export function FileDetails({ file, canWrite, onDelete }: Props) {
  return (
    <div
      role="group"
      tabIndex={0}
      aria-label="Details"
      className="flex-1 overflow-y-auto focus-visible:-outline-offset-2"
    >
      <FilePreview file={file} />
      <Copies file={file} />
      <dl className="grid grid-cols-[7.5rem_minmax(0,1fr)] gap-y-2.5 p-4 text-sm">
        {factsOf(file, canWrite).map(([name, value]) => (
          <div key={name} className="contents">
            <dt className="label-caps pt-0.5">{name}</dt>
            <dd className="break-words tabular-nums">{value}</dd>
          </div>
        ))}
      </dl>
      <section aria-label="History" className="border-t p-4">
        <h3 className="label-caps mb-3">History</h3>
        <FileHistory id={file.id} />
      </section>
      {canWrite && (
        <div className="space-y-2 border-t p-4">
          {file.isPublic && <PurgeCache file={file} />}
          <Button variant="destructive" className="w-full" size="md" onClick={() => onDelete(file)}>
            <Trash2 /> Delete file
          </Button>
        </div>
      )}
    </div>
  );
}

function Copies({ file }: { file: FileResource }) {
  const { url } = file;
  return (
    <div className="flex flex-wrap gap-2 border-y p-4">
      {url && (
        <>
          <Button variant="solid" onClick={() => void copy(url, "URL")}>
            <Link2 /> Copy URL
          </Button>
          <Button onClick={() => void copy(markdownOf(file), "Markdown")}>Markdown</Button>
        </>
      )}
      <Button onClick={() => void copy(file.id, "Id")}>Copy id</Button>
      <Button asChild>
        <a href={downloadUrl(file.id)} download>
          <Download /> Download
        </a>
      </Button>
    </div>
  );
}

function factsOf(file: FileResource, canWrite: boolean): [string, ReactNode][] {
  const { width, height, durationMs, pageCount, sha256 } = file;
  const facts: [string, ReactNode][] = [
    ["Type", file.mimeType],
    ["Size", formatBytes(file.fileSize)],
  ];
  if (width && height) facts.push(["Dimensions", `${width} × ${height}`]);
  if (durationMs) facts.push(["Duration", formatDuration(durationMs)]);
  if (pageCount) facts.push(["Pages", pageCount]);
  facts.push(
    ["Service", <Badge key="service">{file.serviceCode}</Badge>],
    ["Access", <Access key="access" file={file} canWrite={canWrite} />],
    ["Uploaded", formatMoment(file.createdAt)],
    ["Uploaded by", <Code key="by">{file.uploadedBy}</Code>],
    ["Id", <Code key="id">{file.id}</Code>],
    ["Key", <Code key="key">{file.key}</Code>],
  );
  if (sha256) facts.push(["SHA-256", <Code key="sha256">{sha256}</Code>]);
  return facts;
}

function Access({ file, canWrite }: { file: FileResource; canWrite: boolean }) {
  const visibility = useVisibility();
  const said = file.isPublic ? "Public" : "Private";
  if (!canWrite) return said;
  return (
    <span className="flex items-center gap-2.5">
      <Switch
        aria-label="Public"
        checked={file.isPublic}
        disabled={visibility.isPending}
        onCheckedChange={(isPublic) => visibility.mutate({ file, isPublic })}
      />
      {said}
    </span>
  );
}

function PurgeCache({ file }: { file: FileResource }) {
  const purge = useCachePurge();
  return (
    <Button
      className="w-full"
      size="md"
      disabled={purge.isPending}
      onClick={() => purge.mutate(file)}
    >
      <RefreshCw /> Purge caches
    </Button>
  );
}

function Code({ children }: { children: string }) {
  return <code className="font-mono text-xs break-all">{children}</code>;
}
