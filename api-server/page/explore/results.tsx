/** The list of what was found. Only the rows near the screen are there, whatever the length of the list. */
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { ProblemNotice } from '../foundation/notices.js';
import { number } from '../foundation/words.js';
import type { Found, FoundDocument } from './found.js';
import { cutBefore, piecesOf } from './passages.js';

/** Heights of a row, in rem: all are the same, so that where a row is follows from its number. */
const ROW = { plain: 4.75, withPassages: 7.75 };
/** Rows that are there above and below the screen. */
const AROUND = 8;
/** Rows that are loaded at the least. */
const READY = 3;
/** Browsers make nothing higher than about 33 million pixels. */
const HIGHEST = 30_000_000;
/** Milliseconds without scrolling after which it is worth while to ask for what is on the screen. */
const REST = 60;

/** Characters of a passage before its first marked word. */
const SEEN = 36;

export function Results({ found, hasWords }: { found: Found; hasWords: boolean }) {
  const list = useRef<HTMLOListElement>(null);
  const [rows, setRows] = useState<readonly [number, number]>([0, 2 * AROUND]);
  const [focused, setFocused] = useState<number>();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  // Drawn again when more is there.
  const news = found.news.value;
  const failure = found.failure.value;
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = (hasWords ? ROW.withPassages : ROW.plain) * rem;
  const length = Math.min(found.listed, Math.floor(HIGHEST / height));

  useLayoutEffect(() => {
    const look = (): void => {
      if (list.current === null) return;
      const { top } = list.current.getBoundingClientRect();
      const start = Math.max(0, Math.floor(-top / height));
      // On small screens the list begins below the screen: its first rows are made ready all the same.
      const end = Math.min(length, Math.max(start + READY, Math.ceil((innerHeight - top) / height)));
      setRows((before) =>
        before[0] === Math.max(0, start - AROUND) && before[1] === Math.min(length, end + AROUND)
          ? before
          : [Math.max(0, start - AROUND), Math.min(length, end + AROUND)],
      );
      clearTimeout(timer.current);
      timer.current = setTimeout(() => found.show(start, end), REST);
    };
    look();
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look, { passive: true });
    return () => {
      clearTimeout(timer.current);
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [found, height, length]);

  // A list of another search begins at its beginning.
  useEffect(() => {
    if (list.current !== null && list.current.getBoundingClientRect().bottom < 0) scrollTo(0, 0);
  }, [found]);

  const indexes = Array.from({ length: Math.max(0, rows[1] - rows[0]) }, (_, index) => rows[0] + index);
  // What has the focus stays, or the next Tab would begin at the top of the page.
  if (focused !== undefined && focused < length && (focused < rows[0] || focused >= rows[1])) indexes.push(focused);

  return (
    <>
      <ol
        ref={list}
        class="found"
        data-news={news}
        style={{ height: `${length * height}px` }}
        onFocusIn={({ target }) => setFocused(indexOf(target))}
        onFocusOut={() => setFocused(undefined)}
        onKeyDown={moveFocus}
      >
        {indexes.map((index) => (
          <li
            key={index}
            class="row"
            data-index={index}
            aria-setsize={found.listed}
            aria-posinset={index + 1}
            style={{ height: `${height}px`, transform: `translateY(${index * height}px)` }}
          >
            <Row found={found} index={index} />
          </li>
        ))}
      </ol>
      {length < found.listed && <p class="hint">The list ends after {number(length)}. A docset has all of them.</p>}
      {failure !== undefined && <ProblemNotice error={failure} again={() => found.show(rows[0], rows[1])} />}
    </>
  );
}

const indexOf = (target: EventTarget | null): number | undefined => {
  const row = target instanceof Element ? target.closest<HTMLElement>('[data-index]') : null;
  return row === null ? undefined : Number(row.dataset['index']);
};

/** With the arrow keys from title to title. */
function moveFocus(event: KeyboardEvent & { currentTarget: HTMLElement }): void {
  const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
  const index = indexOf(event.target);
  if (step === 0 || index === undefined) return;
  const next = event.currentTarget.querySelector<HTMLElement>(`[data-index="${index + step}"] a`);
  if (next === null) return;
  event.preventDefault();
  next.focus();
}

function Row({ found, index }: { found: Found; index: number }) {
  const document = found.document(index);
  if (document === undefined) return <p class="row-waiting">{number(index + 1)} …</p>;
  return (
    <>
      <a class="row-title" dir="auto" href={`/documents/${document.id}`}>
        {document.title ?? document.ref}
      </a>
      <p class="row-facts">
        <Facts document={document} />
      </p>
      <p class="row-passages">
        <Passages passages={found.highlights(document.id) ?? []} />
      </p>
    </>
  );
}

const Facts = ({ document: { creator, date, ref } }: { document: FoundDocument }) => (
  <>
    {creator !== null && <bdi>{creator}</bdi>}
    {date !== null && <bdi class="date">{date}</bdi>}
    <bdi class="ref">{ref}</bdi>
  </>
);

const Passages = ({ passages }: { passages: readonly string[] }) => (
  <>
    {passages.slice(0, 2).map((passage, number) => (
      <bdi key={number} class="passage">
        {cutBefore(piecesOf(passage), SEEN).map(({ text, marked }, index) =>
          marked ? <mark key={index}>{text}</mark> : text,
        )}
      </bdi>
    ))}
  </>
);
