// Server-sent events out of a stream of text. Bounded: an event that does not end is an error.

export interface ServerEvent {
  name: string;
  data: string;
}

/** Longest event that is taken. */
export const EVENT_MAX = 8 * 1024 * 1024;

export class EventReader {
  private text = "";

  /** Takes what came; gives the events that are whole. Comments are left out. */
  push(chunk: string): ServerEvent[] {
    this.text += chunk;
    const events: ServerEvent[] = [];
    for (let end = this.text.indexOf("\n\n"); end >= 0; end = this.text.indexOf("\n\n")) {
      const event = read(this.text.slice(0, end));
      this.text = this.text.slice(end + 2);
      if (event) {
        events.push(event);
      }
    }
    if (this.text.length > EVENT_MAX) {
      throw new Error("an event without an end");
    }
    return events;
  }
}

function read(block: string): ServerEvent | null {
  let name = "message";
  const data: string[] = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([a-z]*): ?(.*)$/.exec(line) ?? [];
    if (field === "event") {
      name = value ?? "";
    } else if (field === "data") {
      data.push(value ?? "");
    }
  }
  return data.length > 0 ? { name, data: data.join("\n") } : null;
}
