// A single key as a shortcut: not while somebody types, not behind a dialog.
import { useEffect, useRef } from "react";

export function useKey(key: string, then: () => void): void {
  const latest = useRef(then);
  latest.current = then;
  useEffect(() => {
    const listen = (event: KeyboardEvent) => {
      if (event.key !== key || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) {
        return;
      }
      const target = event.target instanceof Element ? event.target : null;
      if (target?.closest("input, textarea, select, [contenteditable=true], [role=dialog], [role=menu]")) {
        return;
      }
      if (document.querySelector("[role=dialog]")) {
        return;
      }
      event.preventDefault();
      latest.current();
    };
    window.addEventListener("keydown", listen);
    return () => window.removeEventListener("keydown", listen);
  }, [key]);
}
