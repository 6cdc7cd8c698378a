import { useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight, Download, Link2, Trash2 } from "lucide-react";
import { useEffect } from "react";
import { Button } from "@/components/ui/button";
import { Badge } from "@/components/ui/heading";
import { Sheet, SheetContent } from "@/components/ui/sheet";
import { ErrorState, Skeleton } from "@/components/ui/states";
import { ApiError, downloadUrl, type FileResource } from "@/lib/api";
import { copy } from "@/lib/copy";
import { markdownOf } from "@/lib/files";
import { formatBytes, formatMoment } from "@/lib/format";
import { fileQuery, forgetMissing } from "./file-cache";
import { FileHistory } from "./file-history";
import { FilePreview } from "./file-preview";

interface Props {
  id: string | undefined;
  /** The file as the list knows it, shown until the service has answered. */
  known: FileResource | undefined;
  canWrite: boolean;
  onClose: () => void;
  onDelete: (file: FileResource) => void;
  onStep: (by: 1 | -1) => void;
  /** Where the focus goes when the sheet closes. */
  onClosed: () => void;
}

/** All about one file, beside the list, which stays usable. */
export function DetailSheet({ id, known, canWrite, onClose, onDelete, onStep, onClosed }: Props) {
  const asked = useQuery({ ...fileQuery(id ?? ""), enabled: id !== undefined });
  const file = asked.data ?? known;
  const missing = asked.error instanceof ApiError && asked.error.status === 404;
  useEffect(() => {
    if (!missing || id === undefined) return;
    forgetMissing({ id, fileName: known?.fileName ?? "This file" });
    onClose();
  }, [missing, id, known, onClose]);
  return (
    <Sheet open={id !== undefined} onOpenChange={(open) => !open && onClose()} modal={false}>
      <SheetContent
        title={file?.fileName ?? "File"}
        overlay={false}
        className="max-w-[26rem]"
        onInteractOutside={(event) => event.preventDefault()}
        onCloseAutoFocus={(event) => {
          event.preventDefault();
          onClosed();
        }}
        actions={
          <>
            <Button
              variant="ghost"
              size="icon"
              aria-label="Previous file"
              onClick={() => onStep(-1)}
            >
              <ChevronLeft />
            </Button>
            <Button variant="ghost" size="icon" aria-label="Next file" onClick={() => onStep(1)}>
              <ChevronRight />
            </Button>
          </>
        }
      >
        {file ? (
          <Details file={file} canWrite={canWrite} onDelete={onDelete} />
        ) : asked.error && !missing ? (
          <div className="p-4">
            <ErrorState error={asked.error} onRetry={() => void asked.refetch()} />
          </div>
        ) : (
          <div className="space-y-4 p-4">
            <Skeleton className="aspect-[4/3]" />
            <Skeleton className="h-9" />
            <Skeleton className="h-40" />
          </div>
        )}
      </SheetContent>
    </Sheet>
  );
}

function Details({
  file,
  canWrite,
  onDelete,
}: { file: FileResource } & Pick<Props, "canWrite" | "onDelete">) {
  const { url } = file;
  const facts: [string, React.ReactNode][] = [
    ["Type", file.mimeType],
    ["Size", formatBytes(file.fileSize)],
    ["Service", <Badge key="service">{file.serviceCode}</Badge>],
    ["Access", file.isPublic ? "Public" : "Private"],
    ["Uploaded", formatMoment(file.createdAt)],
    ["Uploaded by", <Code key="by">{file.uploadedBy}</Code>],
    ["Id", <Code key="id">{file.id}</Code>],
    ["Key", <Code key="key">{file.key}</Code>],
  ];
  return (
    <div
      role="group"
      tabIndex={0}
      aria-label="Details"
      className="flex-1 overflow-y-auto focus-visible:-outline-offset-2"
    >
      <FilePreview file={file} />
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
      <dl className="grid grid-cols-[7.5rem_minmax(0,1fr)] gap-y-2.5 p-4 text-sm">
        {facts.map(([name, value]) => (
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
        <div className="border-t p-4">
          <Button variant="destructive" className="w-full" size="md" onClick={() => onDelete(file)}>
            <Trash2 /> Delete file
          </Button>
        </div>
      )}
    </div>
  );
}

function Code({ children }: { children: string }) {
  return <code className="font-mono text-xs break-all">{children}</code>;
}
