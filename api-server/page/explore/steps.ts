/** How many years a bar of the histogram has. */
const STEPS = [1, 2, 5, 10, 20, 25, 50, 100];
const MOST_BARS = 80;

export interface Years {
  min: number;
  max: number;
}

export const stepFor = ({ min, max }: Years): number =>
  STEPS.find((step) => Math.floor(max / step) - Math.floor(min / step) < MOST_BARS) ?? 100;

/** The first years of the bars. */
export function barsOf({ min, max }: Years, step: number): number[] {
  const first = Math.floor(min / step) * step;
  return Array.from({ length: Math.floor((max - first) / step) + 1 }, (_, index) => first + index * step);
}
