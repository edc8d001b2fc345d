// A terminal's text, as it would be copied: scrollback and screen, lines that were only wrapped joined again. Pure.
import type { IBuffer } from "@xterm/xterm";

export function transcript(buffer: IBuffer): string {
  const lines: string[] = [];
  for (let at = 0; at < buffer.length; at++) {
    const line = buffer.getLine(at);
    if (!line) {
      continue;
    }
    const next = buffer.getLine(at + 1);
    const text = line.translateToString(!next?.isWrapped);
    if (line.isWrapped && lines.length > 0) {
      lines[lines.length - 1] += text;
    } else {
      lines.push(text);
    }
  }
  return `${lines.join("\n").trimEnd()}\n`;
}
