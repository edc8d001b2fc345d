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
    const feed = new Feed((query) => browserSocket(feedUrl(org, query), SUBPROTOCOL), {
      changed: (change) => applier.apply(change),
      reset: () => applier.reset(),
      live: (is) => {
        live.set(org, is);
        if (!is) {
          // Whoever waits for the feed asks by itself again.
          applier.reset();
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
      feed.close();
      applier.close();
      live.forget(org);
    };
  }, [client, org]);
}
