// One socket at a time: opened, kept alive with a ping every 20 s, given up when nothing was heard for 45 s, closed. When
// to try again is the business of whoever has it.
import type { Timers } from "./timers";

/** The part of a WebSocket that is used. */
export interface Socket {
  send(data: Uint8Array<ArrayBuffer> | string): void;
  close(code?: number): void;
  onopen: (() => void) | null;
  onmessage: ((data: ArrayBuffer | string) => void) | null;
  onclose: ((code: number) => void) | null;
}

export interface ConnectionEvents {
  opened(): void;
  received(message: ArrayBuffer): void;
  /** A text that is no answer to a ping. */
  said?(text: string): void;
  /** The socket closed or is dead; not after {@link Connection.close}. */
  closed(code: number): void;
}

const PING_EVERY = 20_000;
const DEAD_AFTER = 45_000;
/** How long the answer to a ping may take that was sent because something woke the page. */
const PROBE_FOR = 5000;
/** What a socket closes with that broke. */
const ABNORMAL = 1006;

export class Connection {
  private socket: Socket | null = null;
  private heard = 0;

  constructor(
    private readonly connect: (wake: boolean) => Socket,
    private readonly timers: Timers,
    private readonly events: ConnectionEvents,
  ) {}

  /** Opens a new socket in place of one that there may be. */
  open(wake: boolean): void {
    this.close();
    const socket = this.connect(wake);
    this.socket = socket;
    this.heard = Date.now();
    // Also for a socket that never opens.
    this.timers.after("dead", DEAD_AFTER, () => this.checkAlive());
    socket.onopen = () => {
      this.pingLater();
      this.events.opened();
    };
    socket.onmessage = (data) => {
      this.heard = Date.now();
      if (typeof data !== "string") {
        this.events.received(data);
      } else if (data !== "pong") {
        this.events.said?.(data);
      }
    };
    socket.onclose = (code) => {
      this.close();
      this.events.closed(code);
    };
  }

  close(): void {
    const socket = this.socket;
    this.socket = null;
    this.timers.cancel("ping");
    this.timers.cancel("dead");
    this.timers.cancel("probe");
    if (socket) {
      socket.onopen = null;
      socket.onmessage = null;
      socket.onclose = null;
      socket.close(1000);
    }
  }

  /** Whether there is a socket, open or about to be. */
  get exists(): boolean {
    return this.socket !== null;
  }

  send(data: Uint8Array<ArrayBuffer> | string): void {
    this.socket?.send(data);
  }

  /** Asks whether the socket still lives: it may have died while the computer slept. */
  probe(): void {
    const asked = Date.now();
    this.send("ping");
    this.timers.after("probe", PROBE_FOR, () => {
      if (this.socket && this.heard < asked) {
        this.close();
        this.events.closed(ABNORMAL);
      }
    });
  }

  private pingLater(): void {
    this.timers.after("ping", PING_EVERY, () => {
      this.send("ping");
      this.pingLater();
    });
  }

  private checkAlive(): void {
    const left = DEAD_AFTER - (Date.now() - this.heard);
    if (!this.socket) {
      return;
    }
    if (left > 0) {
      this.timers.after("dead", left, () => this.checkAlive());
    } else {
      this.close();
      this.events.closed(ABNORMAL);
    }
  }
}
