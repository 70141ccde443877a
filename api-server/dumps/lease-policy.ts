/** When a silent dump is looked for, asked for again, or given up (design §4). Decides only; the poll acts. */
import { isLive, type Dump } from './dump.js';
import type { FailureSlug } from './failures.js';
import type { WarningCode } from './warnings.js';

/** How often a package request is sent at the most. */
export const MAX_ATTEMPTS = 3;

/** A request that the broker has not confirmed for so long will not be by the one who sent it: milliseconds. */
const PUBLISH_GRACE = 30_000;

export interface LeaseTerms {
  /** How long a packager may be silent about a dump that it has taken, in milliseconds. */
  dumpLease: number;
  /** How long a packager may have a dump that it has taken, whatever it says, in milliseconds. */
  packagingLimit: number;
  /** How long a package request stays in the queue, in milliseconds: after that the broker has dropped it. */
  requestTtl: number;
}

/** Why an attempt is over without a result. */
export type Loss = Extract<WarningCode & FailureSlug, 'packager-lost' | 'packaging-overdue'> | 'request-lost';

export type LeaseDecision =
  /** Nothing to do. */
  | { act: 'wait' }
  /** The request may never have reached the broker: send it again as it is. */
  | { act: 'publish' }
  /** No news for a while: look for the manifest, and where there is none, wait on, unless later requests were taken before it. */
  | { act: 'look' }
  /** No news for too long: look for the manifest, and where there is none, ask again. */
  | { act: 'renew'; why: Loss }
  /** The same, but it was asked for often enough. */
  | { act: 'give-up'; why: Loss };

/**
 * What a poll that found no news does about a dump.
 *
 * A dump that a packager has taken is lost after `dumpLease` without news, and after `packagingLimit` in any case: else one that
 * reports for ever and ends never would keep its miner waiting as long. One that still waits in the queue is not lost however long
 * the queue is: sending it again would only put it behind itself. It is lost once the request has expired there.
 */
export function judgeLease(
  dump: Dump,
  now: Date,
  { dumpLease, packagingLimit, requestTtl }: LeaseTerms,
): LeaseDecision {
  if (!isLive(dump)) return { act: 'wait' };
  const isTaken = dump.outcome.status === 'running';
  if (!isTaken && dump.published === null) {
    return { act: since(dump.updated, now) > PUBLISH_GRACE ? 'publish' : 'wait' };
  }
  const isSilent = since(dump.updated, now) > dumpLease;
  if (isTaken) {
    if (isSilent) return endOfAttempt(dump, 'packager-lost');
    return since(dump.taken ?? dump.updated, now) > packagingLimit
      ? endOfAttempt(dump, 'packaging-overdue')
      : { act: 'wait' };
  }
  if (since(dump.published ?? dump.created, now) > requestTtl) return endOfAttempt(dump, 'request-lost');
  return { act: isSilent ? 'look' : 'wait' };
}

/** What becomes of a dump whose present attempt is over without a result. */
export function endOfAttempt({ attempt }: Pick<Dump, 'attempt'>, why: Loss): LeaseDecision {
  return { act: attempt < MAX_ATTEMPTS ? 'renew' : 'give-up', why };
}

function since(moment: Date, now: Date): number {
  return now.getTime() - moment.getTime();
}
