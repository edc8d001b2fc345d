// A list that grows at its end: it stays at the end until somebody scrolls up, and then stays where they look.
import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef, useState } from "react";

/** How near the end counts as there. */
const NEAR = 24;

export interface Follow {
  /** Around everything that scrolls. */
  readonly outer: RefObject<HTMLDivElement | null>;
  /** Everything in it, as one element; its parts that keep their place have `data-block`. */
  readonly inner: RefObject<HTMLDivElement | null>;
  readonly following: boolean;
  readonly onScroll: () => void;
  readonly toEnd: () => void;
  readonly toStart: () => void;
}

/** `content` is whatever is another value when the content is. */
export function useFollow(content: unknown): Follow {
  const outer = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const [following, setFollowing] = useState(true);
  const state = useRef({ following: true, top: 0, anchor: null as Anchor | null });

  const follow = useCallback((wanted: boolean) => {
    state.current.following = wanted;
    setFollowing(wanted);
  }, []);

  /** Puts the content where it was: at its end, or what was looked at where it was looked at. */
  const settle = useCallback(() => {
    const list = outer.current;
    if (!list) {
      return;
    }
    const { following, anchor } = state.current;
    if (following) {
      list.scrollTop = list.scrollHeight;
    } else if (anchor) {
      const block = list.querySelector(`[data-block="${anchor.id}"]`);
      if (block) {
        list.scrollTop += block.getBoundingClientRect().top - list.getBoundingClientRect().top - anchor.top;
      }
    }
    state.current.top = list.scrollTop;
  }, []);

  const onScroll = useCallback(() => {
    const list = outer.current;
    if (!list) {
      return;
    }
    const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < NEAR;
    const went = list.scrollTop - state.current.top;
    state.current.top = list.scrollTop;
    if (isAtEnd) {
      follow(true);
    } else if (went < 0) {
      follow(false);
    }
    state.current.anchor = anchorOf(list);
  }, [follow]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: it is to run whenever the content is another
  useLayoutEffect(settle, [content, settle]);

  // Blocks get their height when they come into view, and lines another one when they are wrapped.
  useEffect(() => {
    if (!inner.current || !outer.current) {
      return;
    }
    const observer = new ResizeObserver(settle);
    observer.observe(inner.current);
    observer.observe(outer.current);
    return () => observer.disconnect();
  }, [settle]);

  const toEnd = useCallback(() => {
    follow(true);
    settle();
  }, [follow, settle]);

  const toStart = useCallback(() => {
    follow(false);
    if (outer.current) {
      outer.current.scrollTop = 0;
      state.current.top = 0;
      state.current.anchor = anchorOf(outer.current);
    }
  }, [follow]);

  return { outer, inner, following, onScroll, toEnd, toStart };
}

interface Anchor {
  id: string;
  top: number;
}

/** The first block that can be seen, and where it is. */
function anchorOf(list: HTMLElement): Anchor | null {
  const { top } = list.getBoundingClientRect();
  for (const block of list.querySelectorAll<HTMLElement>("[data-block]")) {
    const box = block.getBoundingClientRect();
    if (box.bottom > top) {
      return { id: block.dataset.block ?? "", top: box.top - top };
    }
  }
  return null;
}
