import { useSyncExternalStore } from "react";
import { type Upload, UploadQueue } from "./upload-queue";

/** One for the page, so that uploads survive navigation. */
export const uploadQueue = new UploadQueue();

export interface MediaUpload {
  uploads: readonly Upload[];
  add: (files: readonly File[], serviceCode: string) => string[];
  addLink: (link: string, serviceCode: string) => string;
  cancel: (id: string) => void;
  retry: (id: string) => void;
}

/** Upload files by the retry table of spec 7.2, and see how each one goes. */
export function useMediaUpload(queue: UploadQueue = uploadQueue): MediaUpload {
  const uploads = useSyncExternalStore(queue.subscribe, queue.snapshot);
  return {
    uploads,
    add: (files, serviceCode) => queue.add(files, serviceCode),
    addLink: (link, serviceCode) => queue.addLink(link, serviceCode),
    cancel: (id) => queue.cancel(id),
    retry: (id) => queue.retry(id),
  };
}
