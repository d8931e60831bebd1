/** A list of any length, of which only the rows in sight are made. Arrows, Page, Home and End move in it, Enter opens a row. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';

interface VirtualListProps {
  label: string;
  count: number;
  /** In pixels, all the same. */
  rowHeight: number;
  row: (index: number) => ComponentChildren;
  /** The address of a row; undefined where it is not known yet. */
  link: (index: number) => string | undefined;
  /** Told which rows are in sight, both included. */
  onSight?: (first: number, last: number) => void;
}

/** Rows made beyond those in sight, on either side. */
const SPARE = 6;

export function VirtualList({ label, count, rowHeight, row, link, onSight }: VirtualListProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [active, setActive] = useState(0);
  const height = useHeight(box);
  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const last = Math.min(count - 1, Math.ceil((top + height) / rowHeight) + SPARE);
  const chosen = Math.min(active, count - 1);
  const made = new Set(Array.from({ length: Math.max(0, last - first + 1) }, (_, i) => first + i));
  if (count > 0) made.add(chosen); // who cannot see the list is told of it, wherever it has been scrolled to
  useEffect(() => onSight?.(first, last), [first, last]);
  const move = (to: number) => {
    const next = Math.max(0, Math.min(count - 1, to));
    setActive(next);
    keepInSight(box.current!, next * rowHeight, rowHeight);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const page = Math.max(1, Math.floor(height / rowHeight) - 1);
    const ways: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -count,
      End: count,
    };
    const by = ways[event.key];
    const address = event.key === 'Enter' ? link(chosen) : undefined;
    if (by) move(chosen + by);
    else if (address) location.hash = address;
    else return;
    event.preventDefault();
  };
  return (
    <div
      ref={box}
      class="list"
      role="listbox"
      tabIndex={0}
      aria-label={label}
      aria-activedescendant={count > 0 ? rowId(chosen) : undefined}
      onScroll={event => setTop(event.currentTarget.scrollTop)}
      onKeyDown={onKeyDown}
    >
      <div class="all-rows" style={{ height: `${count * rowHeight}px` }}>
        {[...made].map(index => (
          <a
            key={index}
            id={rowId(index)}
            class="row"
            role="option"
            tabIndex={-1}
            href={link(index)}
            aria-selected={index === chosen}
            aria-posinset={index + 1}
            aria-setsize={count}
            style={{ top: `${index * rowHeight}px`, height: `${rowHeight}px` }}
          >
            {row(index)}
          </a>
        ))}
      </div>
    </div>
  );
}

function rowId(index: number): string {
  return `row-${index}`;
}

function keepInSight(box: HTMLElement, top: number, height: number): void {
  if (top < box.scrollTop) box.scrollTop = top;
  else if (top + height > box.scrollTop + box.clientHeight) box.scrollTop = top + height - box.clientHeight;
}

function useHeight(box: { current: HTMLElement | null }): number {
  const [height, setHeight] = useState(0);
  useEffect(() => {
    const element = box.current!;
    const observer = new ResizeObserver(() => setHeight(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return height;
}
