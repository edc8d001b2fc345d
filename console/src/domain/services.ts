// What a service's status says, in words; and which others it may need.
import type { Service, ServiceExit, ServiceStatus } from "../api/schema";
import { duration } from "./time";

/** `exited with code 1`, `ended by signal 9`, with what it means where people know it by a name. */
export function exitText({ code, signal, ordered }: ServiceExit): string {
  const how =
    signal == null ? `exited with code ${code ?? "?"}` : `ended by ${SIGNALS[signal] ?? `signal ${signal}`}`;
  return ordered ? `${how}, as told` : how;
}

const SIGNALS: Record<number, string> = { 2: "INT", 6: "ABRT", 9: "KILL", 11: "SEGV", 15: "TERM" };

/** For how long a process had run: `0.4 s`, `12 s`, `3 h 5 min`. */
export function ranText(milliseconds: number): string {
  return milliseconds < 10_000
    ? `${(milliseconds / 1000).toFixed(1)} s`
    : duration(Math.round(milliseconds / 1000));
}

/** What it waits for before it starts; `null` when it does not. */
export function waitingText(status: ServiceStatus): string | null {
  const waiting = status.waiting_on ?? [];
  if (waiting.length === 0) return null;
  const one = ({ name, state }: (typeof waiting)[number]) => {
    switch (state) {
      case "failed":
        return `${name}, which failed`;
      case "stopped":
        return `${name}, which is stopped`;
      case null:
      case undefined:
        return `${name}, which is not there`;
      default:
        return name;
    }
  };
  return `waits for ${waiting.map(one).join("; ")}`;
}

/** What is worth saying beside its state, most important first. */
export function remarks(service: Service): string[] {
  const { status } = service;
  if (!status) return [];
  const waiting = waitingText(status);
  const late = service.ready && status.state === "running" && !status.ready && !status.error;
  const restarts = status.restarts ?? 0;
  return [
    waiting,
    status.error ?? null,
    late ? "not ready yet" : null,
    restarts > 0 ? `restarted ${restarts === 1 ? "once" : `${restarts} times`}` : null,
    status.keeps_awake ? "keeps the machine awake" : null,
  ].filter((remark) => remark !== null);
}

/** The services that this one may need: those that do not need it themselves, directly or by way of others. */
export function mayNeed(services: readonly Service[], name: string): string[] {
  const needs = new Map(services.map((service) => [service.name, service.needs ?? []]));
  const reaches = (from: string): boolean => {
    const seen = new Set<string>();
    const queue = [from];
    for (let at = queue.pop(); at !== undefined; at = queue.pop()) {
      if (at === name) return true;
      if (!seen.has(at)) {
        seen.add(at);
        queue.push(...(needs.get(at) ?? []));
      }
    }
    return false;
  };
  return services.map((service) => service.name).filter((other) => !reaches(other));
}

/** Those that need this one: it cannot be deleted while there are some. */
export function neededBy(services: readonly Service[], name: string): string[] {
  return services.filter((service) => service.needs?.includes(name)).map((service) => service.name);
}

/** A command line for a table: a script among its arguments can be long. */
export function shortened(line: string): string {
  return line.length <= LINE_MAX ? line : `${line.slice(0, LINE_MAX)}…`;
}

const LINE_MAX = 400;
