// Addresses in a terminal's text. Pure.

/** The address if it leads to the web; `null` for every other scheme, and for what is no address. */
export function webAddress(text: string): URL | null {
  try {
    const url = new URL(text);
    return url.protocol === "https:" || url.protocol === "http:" ? url : null;
  } catch {
    return null;
  }
}
