import { useQuery } from "@tanstack/react-query";
import { ChevronLeft, ChevronRight } from "lucide-react";
import { useEffect } from "react";
import { Button } from "@/components/ui/button";
import { Sheet, SheetContent } from "@/components/ui/sheet";
import { ErrorState, Skeleton } from "@/components/ui/states";
import { ApiError, type FileResource } from "@/lib/api";
import { fileQuery, forgetMissing, onLeft } from "./file-cache";
import { FileDetails } from "./file-details";

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
  useEffect(() => onLeft((ids) => id !== undefined && ids.has(id) && onClose()), [id, onClose]);
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
          <FileDetails file={file} canWrite={canWrite} onDelete={onDelete} />
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
