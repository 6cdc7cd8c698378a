import { QueryClient } from "@tanstack/react-query";
import { ApiError } from "./api";

/** One for the page. A refusal is final; no answer, or one of 5xx, is asked for twice more. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 30_000,
      refetchOnWindowFocus: false,
      retry: (failures, error) =>
        failures < 2 && !(error instanceof ApiError && error.status < 500),
    },
    // Deletes are never repeated (spec 7.2); uploads have their own table.
    mutations: { retry: false },
  },
});
