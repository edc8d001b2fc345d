/** Gives a text to the browser to keep as a file. */
export function save(content: string, name: string): void {
  const url = URL.createObjectURL(new Blob([content], { type: "text/plain;charset=utf-8" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = `${name.replace(/[^\w.-]+/g, "-")}.txt`;
  link.click();
  URL.revokeObjectURL(url);
}
