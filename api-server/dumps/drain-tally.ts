/** What one drain did not believe or could not read: each kind is logged once, however often it came. */
import type { PackagerEvent } from '../../queue-config/index.js';
import type { DumpParts } from './dump-parts.js';
import type { Refusal } from './judge-event.js';

export interface DrainTally {
  refuse(refusal: Refusal, event: Partial<PackagerEvent> | { body: string }): void;
  /** False once so many were kept that the rest says nothing new. */
  keepsUnreadable(reason: string): boolean;
  /** Writes it to the log. */
  report(): void;
}

/** Unreadable messages of one drain that become dead letters. */
const KEPT_UNREADABLE = 20;

/** What happens every day and is nobody's fault: a packager that was given up, or whose dump was cancelled, hears of it late. */
const ORDINARY: readonly Refusal[] = ['fits-none', 'older-attempt', 'older-run', 'unknown-word'];

export function createDrainTally({ log, metrics }: DumpParts, docset: string): DrainTally {
  const refusals = new Map<Refusal, { count: number; first: object }>();
  let kept = 0;
  let dropped = { count: 0, reason: '' };
  return {
    refuse(refusal, event) {
      metrics.refusedEvent(refusal);
      const known = refusals.get(refusal);
      if (known === undefined) refusals.set(refusal, { count: 1, first: factsOf(event) });
      else known.count += 1;
    },
    keepsUnreadable(reason) {
      if (kept < KEPT_UNREADABLE) kept += 1;
      else dropped = { count: dropped.count + 1, reason };
      return dropped.count === 0;
    },
    report() {
      for (const [refusal, { count, first }] of refusals) {
        const level = ORDINARY.includes(refusal) ? 'info' : 'warn';
        log[level]({ docset, refusal, count, first }, 'events were not believed');
      }
      if (dropped.count > 0) log.error({ docset, ...dropped }, 'further events could not be read, and were dropped');
    },
  };
}

function factsOf(event: Partial<PackagerEvent> | { body: string }): object {
  if ('body' in event) return event;
  const { type, dump, attempt, run, sequence, packager } = event;
  return { type, dump, attempt, run, sequence, packager };
}
