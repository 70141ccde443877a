/** Durations as operators write them. */

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** Milliseconds in the longest unit in which they are a whole number: `90m`, `2d`. */
export function duration(millis: number): string {
  const [unit, length] = UNITS.find(([, candidate]) => millis % candidate === 0) ?? ['ms', 1];
  return `${millis / length}${unit}`;
}
