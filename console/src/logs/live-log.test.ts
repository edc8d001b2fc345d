import { describe, expect, it } from "vitest";
import { Refused } from "../api/client";
import type { LogQuery } from "../api/logs";
import type { LogLine, Problem } from "../api/schema";
import type { ServerEvent } from "./events";
import { LiveLog, type LogSource } from "./live-log";

const OF = { org: "acme", machine: "demo", service: "web" };

function lines(...texts: string[]): LogLine[] {
  return texts.map((text) => ({ at: null, text }));
}

function batch(newest: string, texts: string[], skipped = false): ServerEvent {
  return { name: "lines", data: JSON.stringify({ lines: lines(...texts), partial: null, newest, skipped }) };
}

function end(reason: string): ServerEvent {
  return { name: "end", data: JSON.stringify({ reason }) };
}

function refusal(status: number, code: string): Refused {
  return new Refused({
    status,
    code,
    detail: `It is ${code}.`,
    retry_after_seconds: null,
  } as unknown as Problem);
}

/** What each call brings, in order; a follow that runs out of events goes on without any. */
type Script = {
  pages: (Error | { texts: string[]; newest?: string; older?: string })[];
  follows: (Error | (ServerEvent | "cut")[])[];
};

function scripted({ pages, follows }: Script) {
  const asked: { page: LogQuery[]; follow: LogQuery[]; waits: number[] } = {
    page: [],
    follow: [],
    waits: [],
  };
  const source: LogSource = {
    page: async (_of, query) => {
      asked.page.push(query);
      const next = pages.shift();
      if (!next || next instanceof Error) {
        throw next ?? new Error("no page is left");
      }
      return {
        lines: lines(...next.texts),
        partial: null,
        newest: next.newest ?? null,
        older: next.older ?? null,
      };
    },
    follow: async (_of, query, hear, signal) => {
      asked.follow.push(query);
      const next = follows.shift() ?? [];
      if (next instanceof Error) {
        throw next;
      }
      await hear("begun");
      for (const event of next) {
        if (event === "cut") {
          return;
        }
        await hear(event);
        if (event.name === "end") {
          return;
        }
      }
      await new Promise<void>((done) => signal.addEventListener("abort", () => done()));
    },
    sleep: async (milliseconds) => {
      asked.waits.push(milliseconds);
    },
  };
  return { source, asked };
}

const texts = (log: LiveLog) =>
  log.view.buffer.blocks.flatMap((block) => block.lines.map((line) => line.text));

/** Lets everything happen that waits for nothing but its turn. */
async function settled() {
  for (let turn = 0; turn < 50; turn++) {
    await Promise.resolve();
  }
}

async function run(script: Script, search = "") {
  const { source, asked } = scripted(script);
  const log = new LiveLog(OF, search, source);
  log.start();
  await settled();
  return { log, asked };
}

describe("a log that is followed", () => {
  it("has the newest page and then what comes, each line once", async () => {
    const { log, asked } = await run({
      pages: [{ texts: ["a", "b"], newest: "1.4" }],
      follows: [[batch("1.6", ["c"]), "cut"], [batch("1.8", ["d"])]],
    });
    expect(texts(log)).toEqual(["a", "b", "c", "d"]);
    expect(asked.page).toEqual([{ lines: 500, wake: false }]);
    expect(asked.follow.map(({ after }) => after)).toEqual(["1.4", "1.6"]);
    expect(log.view.state).toEqual({ kind: "live" });
    expect(asked.waits).toContain(1000);
  });

  it("says where lines are missing", async () => {
    const { log } = await run({
      pages: [{ texts: ["a"], newest: "1.2" }],
      follows: [[batch("5.2", ["z"], true)]],
    });
    expect(texts(log)).toEqual(["a", expect.stringContaining("missing"), "z"]);
  });

  it("goes on at once when access changed, and ends when it is gone", async () => {
    const { log, asked } = await run({
      pages: [{ texts: ["a"], newest: "1.2" }],
      follows: [[end("access_changed")], refusal(404, "not_found")],
    });
    expect(asked.follow).toHaveLength(2);
    expect(asked.waits.every((wait) => wait < 1000)).toBe(true);
    expect([log.view.state.kind, texts(log)]).toEqual(["refused", ["a"]]);
  });

  it("stays asleep with its machine, keeps its lines, and goes on when that is awake", async () => {
    const { log, asked } = await run({
      pages: [{ texts: ["a"], newest: "1.2" }],
      follows: [[end("machine_sleeping")], [batch("1.4", ["b"])]],
    });
    expect(log.view.state).toMatchObject({ kind: "away", code: "asleep" });
    expect([asked.follow.length, texts(log)]).toEqual([1, ["a"]]);
    log.awake();
    await settled();
    expect([log.view.state.kind, texts(log)]).toEqual(["live", ["a", "b"]]);
    // Somebody else woke it: nothing of this asked for that.
    expect(asked.follow.map(({ wake, after }) => [wake, after])).toEqual([
      [false, "1.2"],
      [false, "1.2"],
    ]);
  });

  it("wakes a machine only when somebody says so", async () => {
    const { log, asked } = await run({
      pages: [refusal(409, "asleep"), { texts: ["a"], newest: "1.2" }],
      follows: [["cut"], []],
    });
    expect(log.view.state).toMatchObject({ kind: "away", code: "asleep", detail: "It is asleep." });
    log.start(true);
    await settled();
    expect(asked.page.map(({ wake }) => wake)).toEqual([false, true]);
    // And not again after a connection that was cut.
    expect(asked.follow.map(({ wake }) => wake)).toEqual([true, false]);
    expect([log.view.state.kind, texts(log)]).toEqual(["live", ["a"]]);
  });

  it("tries again, later each time, and stops when nobody looks any more", async () => {
    const away = () => refusal(503, "waking");
    const { log, asked } = await run({
      pages: [away(), new Error("cut"), away(), { texts: ["a"], newest: "1.2" }],
      follows: [],
    });
    expect(asked.waits.slice(0, 3)).toEqual([1000, 2000, 4000]);
    expect(texts(log)).toEqual(["a"]);
    log.stop();
    log.awake();
    await settled();
    expect(asked.page).toHaveLength(4);
  });

  it("searches in pages and in what comes, and loads older lines once", async () => {
    const { log, asked } = await run(
      { pages: [{ texts: ["c"], newest: "2.2", older: "1.9" }, { texts: ["a", "b"] }], follows: [] },
      "needle",
    );
    await Promise.all([log.loadOlder(), log.loadOlder().catch(() => {})]);
    await log.loadOlder();
    expect([texts(log), log.view.older]).toEqual([["a", "b", "c"], null]);
    expect(asked.page.at(1)).toEqual({ lines: 500, before: "1.9", search: "needle" });
    expect([...asked.page, ...asked.follow].every(({ search }) => search === "needle")).toBe(true);
  });
});
