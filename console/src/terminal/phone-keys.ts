// Keys that the keyboards of phones lack, and what they send. Pure.

export type PhoneKey = "escape" | "tab" | "up" | "down" | "left" | "right";

const ARROWS = { up: "A", down: "B", right: "C", left: "D" };

/** What a key sends; programs may ask for another kind of arrows. */
export function sequenceOf(key: PhoneKey, applicationCursor: boolean): string {
  switch (key) {
    case "escape":
      return "\x1b";
    case "tab":
      return "\t";
    default:
      return `\x1b${applicationCursor ? "O" : "["}${ARROWS[key]}`;
  }
}

/** What a character sends while Ctrl is held; everything else stays as it is. */
export function withControl(data: string): string {
  const upper = data.toUpperCase();
  if (/^[@A-Z[\\\]^_]$/.test(upper)) {
    return String.fromCharCode(upper.charCodeAt(0) & 0x1f);
  }
  return data === " " ? "\0" : data;
}
