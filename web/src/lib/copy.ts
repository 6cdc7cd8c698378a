import { say } from "./toasts";

/** Put the text into the clipboard and say so. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} copied.`);
  } catch {
    say(`The browser did not let us copy. ${what}: ${text}`, "error");
  }
}
