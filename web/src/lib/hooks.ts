import { type RefObject, useEffect, useLayoutEffect, useState } from "react";

/** The value once it has not changed for so long; until the first time `first`, or itself. */
export function useSettled<T>(value: T, milliseconds: number, first: T = value): T {
  const [settled, setSettled] = useState(first);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), milliseconds);
    return () => clearTimeout(timer);
  }, [value, milliseconds]);
  return settled;
}

/** Whether `waiting` holds, for so long at most. */
export function usePatience(waiting: boolean, milliseconds: number): boolean {
  const [over, setOver] = useState(false);
  useEffect(() => {
    setOver(false);
    if (!waiting) return;
    const timer = setTimeout(() => setOver(true), milliseconds);
    return () => clearTimeout(timer);
  }, [waiting, milliseconds]);
  return waiting && !over;
}

/** Whether the media query matches now. */
export function useMedia(query: string): boolean {
  const [matches, setMatches] = useState(() => matchMedia(query).matches);
  useEffect(() => {
    const list = matchMedia(query);
    const changed = () => setMatches(list.matches);
    changed();
    list.addEventListener("change", changed);
    return () => list.removeEventListener("change", changed);
  }, [query]);
  return matches;
}

/** Width of the element and its distance from the top of the page, kept up to date. */
export function useBox(element: RefObject<HTMLElement | null>): { width: number; top: number } {
  const [box, setBox] = useState({ width: 0, top: 0 });
  useLayoutEffect(() => {
    const node = element.current;
    if (!node) return;
    const measure = () => {
      const { width, top } = node.getBoundingClientRect();
      const next = { width, top: Math.round(top + window.scrollY) };
      setBox((now) => (now.width === next.width && now.top === next.top ? now : next));
    };
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    observer.observe(document.body);
    measure();
    return () => observer.disconnect();
  }, [element]);
  return box;
}

/** The grid of spec 12.1: `grid-cols-2 md:grid-cols-3 lg:grid-cols-4 xl:grid-cols-5`. */
export function useColumns(): number {
  const [md, lg, xl] = [
    useMedia("(min-width: 768px)"),
    useMedia("(min-width: 1024px)"),
    useMedia("(min-width: 1280px)"),
  ];
  return xl ? 5 : lg ? 4 : md ? 3 : 2;
}
