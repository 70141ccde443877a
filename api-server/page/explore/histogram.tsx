/** How many documents there are of which years; a range is chosen by dragging over it, or with the two handles below. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { count } from '../foundation/words.js';
import { barsOf, type Years } from './steps.js';

interface HistogramProps {
  bounds: Years;
  /** Years in a bar. */
  step: number;
  documents: ReadonlyMap<number, number>;
  from: number | undefined;
  to: number | undefined;
  /** Told the years, both included; undefined: no bound. Without it, there is nothing to choose. */
  onRange: ((from: number | undefined, to: number | undefined) => void) | undefined;
}

const HEIGHT = 100;
/** Milliseconds: a handle that is held moves on. */
const PAUSE = 150;

export function Histogram({ bounds, step, documents, from, to, onRange }: HistogramProps) {
  const { min, max } = bounds;
  const clamp = (year: number): number => Math.min(max, Math.max(min, year));
  const [range, setRange] = useState<[number, number]>([clamp(from ?? min), clamp(to ?? max)]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const dragStart = useRef<number | undefined>(undefined);
  useEffect(() => setRange([clamp(from ?? min), clamp(to ?? max)]), [from, to, min, max]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const tell = ([first, last]: [number, number]): void => {
    clearTimeout(timer.current);
    onRange?.(first === min ? undefined : first, last === max ? undefined : last);
  };
  /** Told at once, or after a pause; while a pointer drags, it is only shown, since each one told is a place to come back to. */
  const choose = (one: number, other: number, when: 'at-once' | 'soon' | 'later'): void => {
    const next: [number, number] = [Math.min(one, other), Math.max(one, other)];
    setRange(next);
    clearTimeout(timer.current);
    if (when === 'at-once') tell(next);
    if (when === 'soon') timer.current = setTimeout(() => tell(next), PAUSE);
  };

  const bars = barsOf(bounds, step);
  const most = Math.max(1, ...documents.values());
  const [first, last] = range;
  const total = bars
    .filter((bar) => bar + step > first && bar <= last)
    .reduce((sum, bar) => sum + (documents.get(bar) ?? 0), 0);
  /** The first year of the bar under the pointer. */
  const barAt = ({ currentTarget, clientX }: { currentTarget: SVGSVGElement; clientX: number }): number => {
    const { left, width } = currentTarget.getBoundingClientRect();
    const index = Math.floor(((clientX - left) / width) * bars.length);
    return bars[Math.min(bars.length - 1, Math.max(0, index))] ?? min;
  };
  const drag = (start: number, now: number, when: 'at-once' | 'later'): void =>
    choose(clamp(Math.min(start, now)), clamp(Math.max(start, now) + step - 1), when);

  return (
    <fieldset class="histogram">
      <legend>Years</legend>
      <svg
        viewBox={`0 0 ${bars.length} ${HEIGHT}`}
        preserveAspectRatio="none"
        aria-hidden="true"
        class={onRange === undefined ? 'bars' : 'bars brushable'}
        onPointerDown={(event) => {
          if (onRange === undefined || event.button !== 0) return;
          event.currentTarget.setPointerCapture(event.pointerId);
          dragStart.current = barAt(event);
          drag(dragStart.current, dragStart.current, 'later');
        }}
        onPointerMove={(event) => {
          if (dragStart.current !== undefined) drag(dragStart.current, barAt(event), 'later');
        }}
        onPointerUp={(event) => {
          if (dragStart.current !== undefined) drag(dragStart.current, barAt(event), 'at-once');
          dragStart.current = undefined;
        }}
        onPointerCancel={() => {
          dragStart.current = undefined;
          setRange([clamp(from ?? min), clamp(to ?? max)]);
        }}
      >
        {bars.map((bar, index) => {
          const height = ((documents.get(bar) ?? 0) / most) * HEIGHT;
          const isIn = bar + step > first && bar <= last;
          return (
            <g key={bar}>
              <title>
                {step === 1 ? bar : `${bar}–${bar + step - 1}`}: {count(documents.get(bar) ?? 0, 'document')}
              </title>
              <rect class="reach" x={index} y={0} width={1} height={HEIGHT} />
              <rect
                class={isIn ? 'bar' : 'bar out'}
                x={index + 0.08}
                width={0.84}
                y={HEIGHT - height}
                height={height}
              />
            </g>
          );
        })}
      </svg>
      {onRange !== undefined && min < max && (
        <div class="handles">
          <input
            type="range"
            aria-label="First year"
            min={min}
            max={max}
            step={1}
            value={first}
            onInput={({ currentTarget }) => choose(Math.min(Number(currentTarget.value), last), last, 'soon')}
          />
          <input
            type="range"
            aria-label="Last year"
            min={min}
            max={max}
            step={1}
            value={last}
            onInput={({ currentTarget }) => choose(first, Math.max(Number(currentTarget.value), first), 'soon')}
          />
        </div>
      )}
      <p class="years">
        <span>{first === last ? first : `${first} – ${last}`}</span>
        {step === 1 && <span class="hint">{count(total, 'document')}</span>}
        {(first !== min || last !== max) && (
          <button type="button" class="quiet" onClick={() => choose(min, max, 'at-once')}>
            All years
          </button>
        )}
      </p>
      {onRange === undefined && (
        <p class="hint">The dates of this collection are not such that years could be chosen.</p>
      )}
    </fieldset>
  );
}
