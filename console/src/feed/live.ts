// Whether the feed of an organization tells what changes: then nobody has to ask.

type Listener = () => void;

/** Milliseconds between two looks while the feed tells: in case that one word of it was lost. */
const FALLBACK = 60_000;

class Live {
  private readonly orgs = new Map<string, boolean>();
  private readonly told = new Set<string>();
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

  /** Whether changes come in, though what was before them may still have to be read. */
  follow(org: string, follows: boolean): void {
    if (follows) {
      this.told.add(org);
    } else {
      this.told.delete(org);
    }
  }

  forget(org: string): void {
    this.told.delete(org);
    this.orgs.delete(org);
    this.tell();
  }

  /** How long to wait until the next look at something that the feed tells of. */
  pace(org: string, milliseconds: number): number {
    return this.told.has(org) ? Math.max(FALLBACK, milliseconds) : milliseconds;
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
