import { queryOptions, useQuery } from "@tanstack/react-query";

export type Permission = "media:files.read" | "media:files.write" | "system:owner";

/** Who is using the page. LogicSpike's app says it; here the development gateway does. */
export interface Session {
  person: string;
  userId: string;
  workspace: string;
  permissions: string[];
  /** Whom one could be instead, by key; only the development gateway knows any. */
  people: Record<string, string>;
}

export const sessionQuery = queryOptions({
  queryKey: ["session"],
  queryFn: async ({ signal }): Promise<Session> => {
    const answer = await fetch("/api/session", { signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`The session could not be read (${answer.status}).`);
    return answer.json();
  },
  staleTime: Number.POSITIVE_INFINITY,
});

/** What the person may. The server asks again; this only hides what would be refused. */
export function useMay(): (permission: Permission) => boolean {
  const { data } = useQuery(sessionQuery);
  return (permission) =>
    data !== undefined &&
    (data.permissions.includes(permission) || data.permissions.includes("system:owner"));
}

/** Whether the person may do this. */
export function useCan(permission: Permission): boolean {
  return useMay()(permission);
}

/** Become somebody else, and begin anew. */
export async function become(person: string): Promise<void> {
  await fetch("/api/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ person }),
  });
  window.location.assign("/dashboard/media");
}
