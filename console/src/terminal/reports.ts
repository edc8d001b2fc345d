// What an emulator says on its own about the mouse and the focus, as against what people type. Such reports are of use
// at once or never, and must not come from output that is only drawn again.

const INTRODUCER = "\x1b[";
const FOCUS = /^[IO]$/;
// The last alternative is the old kind, whose three bytes are text as long as the terminal is small.
const MOUSE = /^(?:<\d+;\d+;\d+[Mm]|\d+;\d+;\d+M|M[\s\S]{3})$/;

function matches(data: string, pattern: RegExp): boolean {
  return data.startsWith(INTRODUCER) && pattern.test(data.slice(INTRODUCER.length));
}

export function isFocusReport(data: string): boolean {
  return matches(data, FOCUS);
}

export function isReport(data: string): boolean {
  return isFocusReport(data) || matches(data, MOUSE);
}
