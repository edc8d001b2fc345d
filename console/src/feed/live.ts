// Whether the feed of an organization tells what changes: then nobody has to ask.

type Listener = () => void;

/** Milliseconds between two looks while the feed tells: in case that one word of it was lost. */
const FALLBACK = 60_000;

class Live {
  private readonly orgs = new Map<string, boolean>();
  private readonly listeners = new Set<Listener>();

  /** `undefined` before it is known. */
  of(org: string): boolean | undefined {
    return this.orgs.get(org);
  }

  set(org: string, live: boolean): void {
    if (this.orgs.get(org) !== live) {
      this.orgs.set(org, live);
      this.tell();
    }
  }

  forget(org: string): void {
    this.orgs.delete(org);
    this.tell();
  }

  /** How long to wait until the next look at something that the feed tells of. */
  pace(org: string, milliseconds: number): number {
    return this.of(org) ? Math.max(FALLBACK, milliseconds) : milliseconds;
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private tell(): void {
    for (const listener of this.listeners) {
      listener();
    }
  }
}

export const live = new Live();
