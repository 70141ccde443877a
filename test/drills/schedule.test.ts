/** The random mix can be had again. */
import { expect, test } from '@jest/globals';
import { BLOWS, type BlowName } from './blows.js';
import { createRandom } from './random.js';
import { planStrokes } from './schedule.js';

const NAMES = Object.keys(BLOWS) as BlowName[];
const plan = (seed: number) => planStrokes(createRandom(seed, 'random-mix'), 10, NAMES);

test('the same seed gives the same blows at the same moments, and another seed gives others', () => {
  expect(plan(42)).toEqual(plan(42));
  expect(plan(43)).not.toEqual(plan(42));
});

test('ten minutes have every kind of blow, and none falls on what is still being struck', () => {
  const strokes = plan(1);
  expect(new Set(strokes.map(({ blow }) => blow))).toEqual(new Set(NAMES));
  const ends = new Map<string, number>();
  for (const { at, blow, lasts } of strokes) {
    const { target } = BLOWS[blow];
    expect(at).toBeGreaterThanOrEqual(ends.get(target) ?? 0);
    ends.set(target, at + lasts);
  }
});
