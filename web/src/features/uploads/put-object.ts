import { NetworkError, type Presigned } from "@/lib/api";

/** Send the bytes to the bucket; the status. Throws NetworkError, or AbortError when cancelled. */
export function putObject(
  presigned: Presigned,
  file: Blob,
  onProgress: (share: number) => void,
  signal: AbortSignal,
): Promise<number> {
  // fetch says nothing about how much of a body was sent.
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = () => request.abort();
    request.open(presigned.method, presigned.uploadUrl);
    for (const [name, value] of Object.entries(presigned.headers)) {
      // The browser says the length itself and lets nobody else.
      if (name.toLowerCase() !== "content-length") request.setRequestHeader(name, value);
    }
    request.upload.onprogress = (event) => onProgress(event.loaded / event.total);
    request.onload = () => resolve(request.status);
    request.onerror = () => reject(new NetworkError());
    request.ontimeout = () => reject(new NetworkError());
    request.onabort = () => reject(new DOMException("Cancelled", "AbortError"));
    request.onloadend = () => signal.removeEventListener("abort", abort);
    if (signal.aborted) return reject(new DOMException("Cancelled", "AbortError"));
    signal.addEventListener("abort", abort);
    request.send(file);
  });
}
