import { Link2 } from "lucide-react";
import { type FormEvent, useId, useState } from "react";
import { Button } from "@/components/ui/button";
import { linkIn } from "./upload-rules";

interface Props {
  onLink: (link: string) => void;
}

/** Have the service fetch a file: the address of one, and nothing else. */
export function LinkForm({ onLink }: Props) {
  const id = useId();
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState(false);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const link = linkIn(text);
    setWrong(link === null);
    if (link === null) return;
    onLink(link);
    setText("");
  };
  return (
    <form noValidate onSubmit={submit} className="flex w-full flex-wrap gap-2">
      <input
        type="url"
        inputMode="url"
        aria-label="Link to a file"
        aria-invalid={wrong}
        aria-describedby={wrong ? id : undefined}
        placeholder="https://…"
        // biome-ignore lint/a11y/noAutofocus: somebody has just asked for this field
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
        className="h-9 min-w-48 flex-1 rounded-none border border-border bg-card px-3 text-sm placeholder:text-muted-foreground hover:border-foreground aria-invalid:border-destructive"
      />
      <Button type="submit" size="md">
        <Link2 /> Fetch
      </Button>
      {wrong && (
        <p id={id} role="alert" className="w-full text-xs text-destructive dark:text-red-400">
          <span className="bg-background box-decoration-clone px-1">
            That is no link. It begins with https:// or http://.
          </span>
        </p>
      )}
    </form>
  );
}
