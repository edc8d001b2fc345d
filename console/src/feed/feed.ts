// An organization's feed, as docs/feed-protocol.md has it: one socket, which goes on where it stopped. What has changed
// goes to whoever made it; what is to be read again, too.
import { Connection, type Socket } from "../terminal/connection";
import { backoff } from "../terminal/status";
import { Timers } from "../terminal/timers";

export const SUBPROTOCOL = "snapvm.feed.v1";

/** Something that has changed. */
export interface Change {
  seq: number;
  at: string;
  kind: string;
  /** The name of the machine that it belongs to. */
  machine?: string;
  /** What is said of it; whoever needs more reads it. */
  data?: Record<string, unknown>;
}

/** Where the sequence is. */
interface Position {
  feed: string;
  seq: number;
  reset: boolean;
}

export interface FeedEvents {
  changed(change: Change): void;
  /** What was before now is not told. */
  reset(): void;
  /** Whether changes come. It takes a while without them until that is said. */
  live(live: boolean): void;
  /** Access has ended: there is no coming back. */
  ended(): void;
}

/** Close codes that mean that somebody has no access any more. */
const ENDED = [4401, 4403];
/** How long a lost socket may take to come back before anybody is told. */
const GRACE = 3000;
/** What is heard is said this often; the feed asks for every 100. */
const SAY_EVERY = 50;

export class Feed {
  private readonly timers = new Timers();
  private readonly connection: Connection;
  private position: { feed: string; seq: number } | null = null;
  private attempt = 0;
  private unsaid = 0;
  private readonly connect: () => void;

  constructor(
    connect: (query: string) => Socket,
    private readonly events: FeedEvents,
  ) {
    this.connection = new Connection(() => connect(this.query()), this.timers, {
      opened: () => {},
      received: () => {},
      said: (text) => this.hear(text),
      closed: (code) => this.lost(code),
    });
    this.connect = () => this.connection.open(false);
    this.connect();
  }

  /** The page became visible, or the network came back: a socket may have died meanwhile. */
  wake(): void {
    if (this.connection.exists) {
      this.connection.probe();
    } else if (this.timers.has("connect")) {
      this.timers.cancel("connect");
      this.connect();
    }
  }

  close(): void {
    this.connection.close();
    this.timers.clear();
  }

  private query(): string {
    return this.position ? `?feed=${encodeURIComponent(this.position.feed)}&after=${this.position.seq}` : "";
  }

  private hear(text: string): void {
    const message: Position | Change = JSON.parse(text);
    if ("feed" in message) {
      this.attempt = 0;
      this.unsaid = 0;
      this.timers.cancel("grace");
      if (message.reset) {
        this.position = { feed: message.feed, seq: message.seq };
        this.events.reset();
      }
      this.events.live(true);
      return;
    }
    if (this.position) {
      this.position.seq = message.seq;
    }
    this.unsaid += 1;
    if (this.unsaid >= SAY_EVERY) {
      this.unsaid = 0;
      this.connection.send(String(message.seq));
    }
    this.events.changed(message);
  }

  private lost(code: number): void {
    if (ENDED.includes(code)) {
      this.close();
      this.events.live(false);
      this.events.ended();
      return;
    }
    if (!this.timers.has("grace")) {
      this.timers.after("grace", GRACE, () => this.events.live(false));
    }
    this.attempt += 1;
    // Not all at once, when a deployment has closed everybody's.
    this.timers.after("connect", backoff(this.attempt) * (0.5 + Math.random()), this.connect);
  }
}

/** Where an organization's feed is. */
export function feedUrl(org: string, query: string): string {
  const url = new URL(`/v1/orgs/${encodeURIComponent(org)}/feed${query}`, window.location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}
