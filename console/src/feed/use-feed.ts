// Follows an organization while its pages are open: one socket for all of them.
import { useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { accountQuery } from "../api/accounts";
import { browserSocket } from "../terminal/browser-socket";
import { Applier } from "./apply";
import { Feed, feedUrl, SUBPROTOCOL } from "./feed";
import { live } from "./live";

export function useFeed(org: string): void {
  const client = useQueryClient();
  useEffect(() => {
    const applier = new Applier(client, org);
    let follows = false;
    let known = Promise.resolve();
    const feed = new Feed((query) => browserSocket(feedUrl(org, query), SUBPROTOCOL), {
      changed: (change) => applier.apply(change),
      reset: () => {
        known = applier.reset();
      },
      live: (is) => {
        follows = is;
        // Now: what is read again because of it is not to be asked for every few seconds.
        live.follow(org, is);
        if (is) {
          // What was before the feed's first word has to be read, or what is shown may be older than that.
          void known.then(() => follows && live.set(org, true));
        } else {
          live.set(org, false);
          // Whoever waits for the feed asks by itself again.
          void applier.reset();
        }
      },
      ended: () => void client.invalidateQueries({ queryKey: accountQuery.queryKey }),
    });
    const wake = () => {
      if (document.visibilityState === "visible") {
        feed.wake();
      }
    };
    window.addEventListener("online", wake);
    document.addEventListener("visibilitychange", wake);
    return () => {
      window.removeEventListener("online", wake);
      document.removeEventListener("visibilitychange", wake);
      follows = false;
      feed.close();
      applier.close();
      live.forget(org);
    };
  }, [client, org]);
}
