// Chooses light or dark before the first paint. A file of its own, because the page may not run inline scripts.
(() => {
  let chosen = null;
  try {
    chosen = localStorage.getItem("snapvm.color-scheme");
  } catch {
    // Storage may be switched off: follow the system.
  }
  const dark =
    chosen === "dark" || (chosen !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
