// Logs of services: pages as they are asked for, and events as lines come.
import { EventReader, type ServerEvent } from "../logs/events";
import { answer, api } from "./client";
import type { LogLine, LogPage } from "./schema";

/** Whose log. */
export interface LogOf {
  org: string;
  machine: string;
  service: string;
}

export interface LogQuery {
  lines?: number;
  before?: string;
  after?: string;
  search?: string;
  wake?: boolean;
}

/** Most lines of a page. */
const PAGE_MAX = 1000;
const PATH = "/v1/orgs/{org}/machines/{machine}/services/{service}/logs";

export function logPage(of: LogOf, query: LogQuery, signal?: AbortSignal): Promise<LogPage> {
  const page = api.GET(PATH, { params: { path: { ...of }, query }, ...(signal && { signal }) });
  return answer(page) as Promise<LogPage>;
}

/** Hears a log until its end, which is a promise that is kept. `hear` is awaited: what comes faster waits where it is. */
export async function followLog(
  of: LogOf,
  query: LogQuery,
  hear: (event: ServerEvent | "begun") => Promise<void> | void,
  signal: AbortSignal,
): Promise<void> {
  const stream = await answer(
    api.GET(PATH, {
      params: { path: { ...of }, query: { ...query, follow: true } },
      headers: { accept: "text/event-stream" },
      parseAs: "stream",
      signal,
    }),
  );
  await hear("begun");
  const reader = (stream as ReadableStream<Uint8Array>).getReader();
  const decoder = new TextDecoder();
  const events = new EventReader();
  try {
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      for (const event of events.push(decoder.decode(read.value, { stream: true }))) {
        await hear(event);
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Every line there is, the oldest first. */
export async function wholeLog(of: LogOf, search: string): Promise<LogLine[]> {
  const pages: LogLine[][] = [];
  for (let before: string | null | undefined; before !== null; ) {
    const page: LogPage = await logPage(of, {
      lines: PAGE_MAX,
      ...(before && { before }),
      ...(search && { search }),
    });
    pages.unshift(page.partial ? [...page.lines, page.partial] : page.lines);
    before = page.older ?? null;
  }
  return pages.flat();
}
