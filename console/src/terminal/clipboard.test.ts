import { describe, expect, it } from "vitest";
import { CLIPBOARD_MAX, clipboardText, linesToAskAbout } from "./clipboard";
import { webAddress } from "./links";

const encoded = (text: string) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

describe("what a program may do with the clipboard", () => {
  it("never reads it, and writes only text of a bearable length", () => {
    for (const refused of [
      "",
      "c",
      "c;",
      "c;?",
      ";?",
      "c;***",
      `c;${btoa("\xff\xfe")}`,
      `c;${"A".repeat(CLIPBOARD_MAX * 2)}`,
    ]) {
      expect(clipboardText(refused)).toBe(null);
    }
  });

  it("writes text", () => {
    expect(clipboardText(`c;${encoded("grüße\n")}`)).toBe("grüße\n");
    expect(clipboardText(`;${encoded("a")}`)).toBe("a");
  });
});

describe("a paste", () => {
  it("is asked about when it has several lines that would run one by one", () => {
    expect(linesToAskAbout("rm -rf a\rrm -rf b", false)).toBe(2);
    expect(linesToAskAbout("a\r\nb\nc\n", false)).toBe(3);
  });

  it("is not when it has one, or is taken as one piece", () => {
    expect(linesToAskAbout("ls", false)).toBe(0);
    expect(linesToAskAbout("ls\n", false)).toBe(0);
    expect(linesToAskAbout("a\nb", true)).toBe(0);
  });
});

describe("a link", () => {
  it.each([
    "javascript:alert(1)",
    "file:///etc/passwd",
    "data:text/html,x",
    "ssh://host",
    "//host",
    "host",
    "",
  ])("%j does not lead to the web", (address) => {
    expect(webAddress(address)).toBe(null);
  });

  it("is shown as the browser understands it", () => {
    expect(webAddress("https://bank.example@evil.example/%2e%2e/a")?.host).toBe("evil.example");
    expect(webAddress("http://ex\u00e4mple.com")?.host).toBe("xn--exmple-cua.com");
  });
});
