// The log of a service for as long as a page shows it.
import { useEffect, useState, useSyncExternalStore } from "react";
import { followLog, type LogOf, logPage } from "../api/logs";
import { LiveLog, type LogSource, type LogView } from "./live-log";

const SOURCE: LogSource = {
  page: logPage,
  follow: followLog,
  sleep: (milliseconds, signal) =>
    new Promise((done) => {
      const timer = setTimeout(done, milliseconds);
      signal.addEventListener("abort", () => {
        clearTimeout(timer);
        done();
      });
    }),
};

/** `awake` is whether the machine is known to run: a log that waits for that goes on. */
export function useLog({ org, machine, service }: LogOf, search: string, awake: boolean): [LiveLog, LogView] {
  const key = [org, machine, service, search].join("\n");
  const make = () => new LiveLog({ org, machine, service }, search, SOURCE);
  const [shown, setShown] = useState(() => ({ key, log: make() }));
  let { log } = shown;
  if (shown.key !== key) {
    log = make();
    setShown({ key, log });
  }
  useEffect(() => {
    log.start();
    return () => log.stop();
  }, [log]);
  useEffect(() => {
    if (awake) {
      log.awake();
    }
  }, [log, awake]);
  const view = useSyncExternalStore(log.subscribe, () => log.view);
  return [log, view];
}
