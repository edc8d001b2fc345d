// One log that a page shows: its newest lines, then what comes, over whatever interrupts it.
//
//   page ─▶ follow ─▶ lines …        a cut, access that changed ─▶ follow again from the last place
//                     the machine sleeps ─▶ the lines stay, until it is awake or somebody wakes it
//
// Every line is taken once: what follows begins where the page before it ended. Who reads it is told of each change and
// asks for `view`, which is another object only when something changed.

import { Refused } from "../api/client";
import type { followLog, LogOf, LogQuery, logPage } from "../api/logs";
import type { LogBatch, LogEnd } from "../api/schema";
import { append, EMPTY, type LogBuffer, note, prepend } from "./buffer";
import type { ServerEvent } from "./events";

export type LogState =
  /** Nothing is known yet. */
  | { kind: "loading" }
  | { kind: "live" }
  /** Interrupted, and tried again by itself. */
  | { kind: "reconnecting"; detail: string }
  | { kind: "waking" }
  /** The machine is asleep, stopped or failed: `code` says which. */
  | { kind: "away"; code: string; detail: string }
  | { kind: "refused"; error: unknown };

export interface LogView {
  buffer: LogBuffer;
  state: LogState;
  /** Where the lines before these are; `null` when there are none. */
  older: string | null;
}

/** The API, and time. */
export interface LogSource {
  page: typeof logPage;
  follow: typeof followLog;
  sleep: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

/** Lines that are asked for at once. */
const PAGE = 500;
/** Between two looks at what came, so that a loud service leaves the page usable. */
const PAUSE_MS = 80;
const RETRY_MS = { first: 1000, most: 15_000 };
const AWAY = ["asleep", "stopped", "failed", "deleting", "awake_limit"];
const SKIPPED = "Lines are missing here: they came faster than they could be shown.";

export class LiveLog {
  view: LogView = { buffer: EMPTY, state: { kind: "loading" }, older: null };
  private place: string | null = null;
  private readonly listeners = new Set<() => void>();
  private running: AbortController | null = null;

  constructor(
    private readonly of: LogOf,
    private readonly search: string,
    private readonly source: LogSource,
  ) {}

  subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  /** Begins, or begins again, without waking the machine unless `wake`. */
  start(wake = false): void {
    this.stop();
    const running = new AbortController();
    this.running = running;
    if (wake) {
      this.set({ state: { kind: "waking" } });
    }
    void this.run(wake, running.signal);
  }

  stop(): void {
    this.running?.abort();
    this.running = null;
  }

  /** The machine is awake: whoever waited for that goes on. */
  awake(): void {
    if (this.view.state.kind === "away") {
      this.start();
    }
  }

  /** Loads the lines before those that are there. */
  async loadOlder(): Promise<void> {
    const before = this.view.older;
    if (before === null) {
      return;
    }
    const page = await this.source.page(this.of, this.query({ lines: PAGE, before }), this.running?.signal);
    // Only once, however often it was asked.
    if (this.view.older === before) {
      this.set({ buffer: prepend(this.view.buffer, page.lines), older: page.older ?? null });
    }
  }

  private query(query: LogQuery): LogQuery {
    return this.search === "" ? query : { ...query, search: this.search };
  }

  private set(change: Partial<LogView>): void {
    this.view = { ...this.view, ...change };
    for (const listener of this.listeners) {
      listener();
    }
  }

  private async run(asked: boolean, signal: AbortSignal): Promise<void> {
    // Once: what sleeps again later is not woken again.
    let wake = asked;
    for (let pause = RETRY_MS.first; !signal.aborted; ) {
      try {
        if (this.place === null) {
          const page = await this.source.page(this.of, this.query({ lines: PAGE, wake }), signal);
          if (signal.aborted) {
            return;
          }
          this.place = page.newest ?? null;
          this.set({ buffer: append(EMPTY, page.lines, page.partial ?? null), older: page.older ?? null });
        }
        const after = this.place === null ? {} : { after: this.place };
        let again = false;
        await this.source.follow(
          this.of,
          this.query({ ...after, wake }),
          async (event) => {
            if (!signal.aborted) {
              pause = RETRY_MS.first;
              wake = false;
              again = this.hear(event) || again;
              await this.source.sleep(PAUSE_MS, signal);
            }
          },
          signal,
        );
        if (signal.aborted || this.view.state.kind === "away") {
          return;
        }
        if (again) {
          continue;
        }
        this.set({ state: { kind: "reconnecting", detail: "The connection was interrupted." } });
      } catch (error) {
        if (signal.aborted || !this.goesOn(error)) {
          return;
        }
        pause = Math.max(pause, waitOf(error));
      }
      await this.source.sleep(pause, signal).catch(() => {});
      pause = Math.min(pause * 2, RETRY_MS.most);
    }
  }

  /** Takes an event; whether it is followed again at once. */
  private hear(event: ServerEvent | "begun"): boolean {
    if (event === "begun") {
      this.set({ state: { kind: "live" } });
    } else if (event.name === "lines") {
      const batch: LogBatch = JSON.parse(event.data);
      const before = batch.skipped ? note(this.view.buffer, SKIPPED) : this.view.buffer;
      this.place = batch.newest;
      this.set({ buffer: append(before, batch.lines, batch.partial ?? null) });
    } else if (event.name === "end") {
      const { reason }: LogEnd = JSON.parse(event.data);
      if (reason === "machine_sleeping") {
        const detail = "The machine went to sleep. These are its lines until then.";
        this.set({ state: { kind: "away", code: "asleep", detail } });
      }
      // Whoever still may is let in again; whoever may not is told so.
      return reason !== "machine_sleeping";
    }
    return false;
  }

  /** Whether trying again may help; says what it means. */
  private goesOn(error: unknown): boolean {
    if (!(error instanceof Refused)) {
      const detail = error instanceof Error ? error.message : "The connection was interrupted.";
      this.set({ state: { kind: "reconnecting", detail } });
      return true;
    }
    const { code, detail, status } = error.problem;
    if (AWAY.includes(code)) {
      this.set({ state: { kind: "away", code, detail } });
      return false;
    }
    if (status === 429 || status >= 500) {
      this.set({ state: { kind: "reconnecting", detail } });
      return true;
    }
    this.set({ state: { kind: "refused", error } });
    return false;
  }
}

function waitOf(error: unknown): number {
  return error instanceof Refused ? (error.problem.retry_after_seconds ?? 0) * 1000 : 0;
}
