// What programs in a terminal may do with the clipboard (OSC 52): write it, when somebody agrees, and never read it. And
// when a paste has to be asked about. Pure.

/** Longest text that a program may put there. */
export const CLIPBOARD_MAX = 256 * 1024;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * The text that an OSC 52 sequence (`52;{selections};{base64}`) wants in the clipboard; `null` for queries, for what is
 * too long, and for what is no text.
 */
export function clipboardText(data: string): string | null {
  const end = data.indexOf(";");
  const encoded = end < 0 ? "" : data.slice(end + 1);
  if (encoded === "" || encoded === "?" || encoded.length > (CLIPBOARD_MAX * 4) / 3 + 4) {
    return null;
  }
  try {
    return utf8.decode(Uint8Array.from(atob(encoded), (character) => character.charCodeAt(0)));
  } catch {
    return null;
  }
}

/** Lines that a paste would run at once: more than one, and the program does not take pastes as one piece. */
export function linesToAskAbout(text: string, bracketed: boolean): number {
  if (bracketed) {
    return 0;
  }
  const lines = text.replace(/(\r\n|\r|\n)$/, "").split(/\r\n|\r|\n/).length;
  return lines > 1 ? lines : 0;
}
