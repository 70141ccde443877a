/** The table of a run. */
import Table from 'cli-table3';
import type { DrillResult } from './drill.js';

export function createReport(): {
  add(name: string, result: DrillResult, seconds: number): void;
  /** @returns true where nothing is wrong */
  print(): boolean;
} {
  const table = new Table({
    head: [
      'drill',
      'what was done',
      'dumps',
      'successful',
      'failed',
      'attempts',
      'stale polls',
      'slowest',
      'took',
      'faults',
    ],
    style: { head: [], border: [] },
  });
  const faults: string[] = [];
  return {
    add(name, { outcomes, did, faults: own }, seconds) {
      const successful = outcomes.filter(({ end }) => end.type === 'successful').length;
      const slowest = Math.max(0, ...outcomes.map((outcome) => outcome.seconds));
      table.push([
        name,
        did,
        outcomes.length,
        successful,
        tally(outcomes.flatMap(({ end }) => (end.type === 'failed' ? [end.code] : []))),
        tally(outcomes.flatMap(({ end }) => (end.type === 'error' ? [] : [end.status.attempt]))),
        outcomes.reduce((sum, { stale }) => sum + stale, 0),
        `${slowest.toFixed(1)} s`,
        `${seconds.toFixed(0)} s`,
        own.length,
      ]);
      faults.push(...own.map((fault) => `${name}: ${fault}`));
    },
    print() {
      process.stdout.write(`${table.toString()}\n`);
      for (const fault of faults) process.stdout.write(`FAULT ${fault}\n`);
      return faults.length === 0;
    },
  };
}

/** How often each occurs: `1 ×18, 2 ×2`. */
function tally(values: readonly (string | number)[]): string {
  const counts = new Map<string | number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const sorted = [...counts].sort(([a], [b]) => String(a).localeCompare(String(b)));
  return sorted.map(([value, count]) => `${value} ×${count}`).join(', ') || '–';
}
