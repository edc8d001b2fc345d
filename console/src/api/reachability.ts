// Whether the API answers, for the banner that says so.

type Listener = () => void;

class Reachability {
  /** What is wrong; `null` while the API answers. */
  trouble: string | null = null;
  private readonly listeners = new Set<Listener>();

  lost(detail: string): void {
    this.set(detail);
  }

  found(): void {
    this.set(null);
  }

  subscribe = (listener: Listener): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  private set(trouble: string | null): void {
    if (trouble !== this.trouble) {
      this.trouble = trouble;
      for (const listener of this.listeners) {
        listener();
      }
    }
  }
}

export const reachability = new Reachability();
