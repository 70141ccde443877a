/**
 * How often a dump may be polled with one key. Kept in memory, by each api-server for itself: a poll must not cost a round trip more,
 * and what the limit protects, the broker, is asked by each of them.
 */
import { performance } from 'node:perf_hooks';
import { ProblemError } from '../http/problems.js';
import type { Caller } from './caller.js';

/** Notes a poll. @throws {ProblemError} `polled-too-soon` */
export type PollLimit = (caller: Pick<Caller, 'key'>, dump: string) => void;

/** @param interval milliseconds between two polls; 0: as often as they like */
export function createPollLimit(interval: number): PollLimit {
  // Two generations, each for one interval, so that what is kept is never more than what came in two of them.
  let current = new Map<string, number>();
  let previous = new Map<string, number>();
  let began = -Infinity;
  return ({ key }, dump) => {
    if (interval === 0) return;
    const now = performance.now();
    if (now - began >= interval) {
      previous = now - began < 2 * interval ? current : new Map<string, number>();
      current = new Map<string, number>();
      began = now;
    }
    const poll = `${key} ${dump}`;
    const wait = (current.get(poll) ?? previous.get(poll) ?? -Infinity) + interval - now;
    if (wait > 0) {
      const headers = { 'Retry-After': String(Math.ceil(wait / 1_000)) };
      throw new ProblemError('polled-too-soon', undefined, {}, { headers });
    }
    current.set(poll, now);
  };
}
