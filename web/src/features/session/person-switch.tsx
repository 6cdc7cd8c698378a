import { useQuery } from "@tanstack/react-query";
import { Select } from "@/components/ui/select";
import { become, sessionQuery } from "./session";

/** Only on a development instance: choose who you are. */
export function PersonSwitch() {
  const { data } = useQuery(sessionQuery);
  if (!data || Object.keys(data.people).length === 0) return null;
  return (
    <div className="flex items-center gap-3">
      <span className="label-caps hidden font-mono !tracking-normal !normal-case sm:inline">
        {data.workspace}
      </span>
      <Select
        aria-label="Who you are"
        value={data.person}
        onChange={(event) => void become(event.target.value)}
      >
        {Object.entries(data.people).map(([key, name]) => (
          <option key={key} value={key}>
            {name}
          </option>
        ))}
      </Select>
    </div>
  );
}
