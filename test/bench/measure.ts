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

/** One line of the report: a ratio, and what it should be at the most, where that is laid down. */
export function report(what: string, ratio: number, limit?: number): void {
  const verdict = limit === undefined ? '' : `  (at most ${limit})  ${ratio <= limit ? 'ok' : 'OVER'}`;
  process.stdout.write(`${what.padEnd(94)} ${ratio.toFixed(2).padStart(7)}${verdict}\n`);
}

/** Megabytes of resident memory that a packager may take. */
export const MOST_MEMORY = 160;

/** What a figure has to reach, or must not exceed. */
export interface Limit {
  least?: number;
  most?: number;
}

/** Ratios by name, as they are printed in the end. */
export interface Ratios {
  /** @param name of the ratio in the line of JSON */
  add(name: string, what: string, ratio: number, limit?: Limit): void;
  /** Prints a table of all, and last one line of JSON: each ratio by its name, with its limit and whether it holds. */
  print(): void;
  /** A Markdown table of all. */
  table(): string;
}

export function createRatios(): Ratios {
  const rows: { name: string; what: string; ratio: number; limit: Limit }[] = [];
  const isKept = (ratio: number, { least = -Infinity, most = Infinity }: Limit): boolean =>
    ratio >= least && ratio <= most;
  return {
    add: (name, what, ratio, limit = {}) => void rows.push({ name, what, ratio, limit }),
    print() {
      for (const { what, ratio, limit } of rows) {
        const verdict = isKept(ratio, limit) ? 'ok' : 'MISSED';
        const bound = boundOf(limit);
        process.stdout.write(
          `${what.padEnd(76)} ${ratio.toFixed(2).padStart(8)}${bound === '' ? '' : `  (${bound})  ${verdict}`}\n`,
        );
      }
      const entries = rows.map(({ name, ratio, limit }) => {
        const rounded = Number(ratio.toPrecision(4));
        return [name, { ratio: rounded, ...limit, ok: isKept(ratio, limit) }];
      });
      process.stdout.write(`${JSON.stringify(Object.fromEntries(entries))}\n`);
    },
    table() {
      const lines = rows.map(({ what, ratio, limit }) => `| ${what} | ${ratio.toPrecision(3)} | ${boundOf(limit)} |`);
      return ['| what | measured | wanted |', '| --- | --- | --- |', ...lines].join('\n');
    },
  };
}

function boundOf({ least, most }: Limit): string {
  if (least !== undefined) return `at least ${least}`;
  return most === undefined ? '' : `at most ${most}`;
}

/** @throws {Error} where nothing of that name was measured */
export function medianOf(figures: Record<string, Figures>, name: string): number {
  const found = figures[name];
  if (found === undefined) throw new Error(`${name} was not measured`);
  return found.p50;
}
