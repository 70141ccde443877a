/** When each blow of a random mix falls. Follows from the seed alone. */
import { BLOWS, type BlowName, type Target } from './blows.js';
import type { Random } from './random.js';

export interface Stroke {
  /** Milliseconds from the beginning. */
  readonly at: number;
  readonly blow: BlowName;
  readonly lasts: number;
  readonly choice: number;
}

/** Milliseconds from one blow to the next. */
const PAUSES = [500, 6_000] as const;
/** Milliseconds that a target is left alone after a blow, so that something gets done at all. */
const RESPITE = 4_000;

/** @param minutes in which blows fall */
export function planStrokes(random: Random, minutes: number, names: readonly BlowName[]): Stroke[] {
  const strokes: Stroke[] = [];
  const free = new Map<Target, number>();
  for (let at = random.between(...PAUSES); at < minutes * 60_000; at += random.between(...PAUSES)) {
    const blow = random.pick(names);
    const { target, lasts: range } = BLOWS[blow];
    const stroke = { at, blow, lasts: random.between(range[0], range[1]), choice: random.between(0, 999) };
    // All numbers were drawn, so that a change of the respite changes only what is left out.
    if ((free.get(target) ?? 0) > at) continue;
    free.set(target, at + stroke.lasts + RESPITE);
    strokes.push(stroke);
  }
  return strokes;
}
