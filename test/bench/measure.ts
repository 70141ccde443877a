/** Times operations side by side, in turn, so that the noise of the machine falls on all of them alike. */

export interface Figures {
  p50: number;
  p95: number;
  p99: number;
}

/**
 * Runs each operation once a round and answers their times in milliseconds. The first rounds warm up and are not counted.
 * @param operations each returns after what is to be timed; a number that it returns is the time
 */
export async function interleave(
  operations: Record<string, () => Promise<unknown>>,
  { rounds, warmUp }: { rounds: number; warmUp: number },
): Promise<Record<string, Figures>> {
  const times = new Map<string, number[]>();
  for (let round = -warmUp; round < rounds; round++) {
    for (const [name, operation] of Object.entries(operations)) {
      const started = performance.now();
      const measured = await operation();
      const took = typeof measured === 'number' ? measured : performance.now() - started;
      if (round >= 0) times.set(name, [...(times.get(name) ?? []), took]);
    }
  }
  return Object.fromEntries([...times].map(([name, values]) => [name, figuresOf(values)]));
}

function figuresOf(values: number[]): Figures {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

/** One line of the report: a ratio, and what it should be at the most. */
export function report(what: string, ratio: number, limit: number): void {
  const verdict = ratio <= limit ? 'ok' : 'OVER';
  process.stdout.write(`${what.padEnd(72)} ${ratio.toFixed(2).padStart(7)}  (at most ${limit})  ${verdict}\n`);
}
