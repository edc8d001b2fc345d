// Timers by name: setting one again replaces it.

export class Timers {
  private readonly running = new Map<string, ReturnType<typeof setTimeout>>();

  after(name: string, milliseconds: number, then: () => void): void {
    this.cancel(name);
    this.running.set(
      name,
      setTimeout(() => {
        this.running.delete(name);
        then();
      }, milliseconds),
    );
  }

  has(name: string): boolean {
    return this.running.has(name);
  }

  cancel(name: string): void {
    clearTimeout(this.running.get(name));
    this.running.delete(name);
  }

  clear(): void {
    for (const timer of this.running.values()) {
      clearTimeout(timer);
    }
    this.running.clear();
  }
}
