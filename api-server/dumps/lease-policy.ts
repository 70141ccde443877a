/** When a silent dump is looked for, asked for again, or given up (design §4). Decides only; the poll acts. */
import { isLive, type Dump } from './dump.js';

/** How often a package request is sent at the most. */
export const MAX_ATTEMPTS = 3;

/** A request that the broker has not confirmed for so long will not be by the one who sent it: milliseconds. */
const PUBLISH_GRACE = 30_000;

export interface LeaseTerms {
  /** How long a packager may be silent about a dump that it has taken, in milliseconds. */
  dumpLease: number;
  /** How long a package request stays in the queue, in milliseconds: after that the broker has dropped it. */
  requestTtl: number;
}

export type LeaseDecision =
  /** Nothing to do. */
  | 'wait'
  /** The request may never have reached the broker: send it again as it is. */
  | 'publish'
  /** No news for a while: look for the manifest, and where there is none, wait on. */
  | 'look'
  /** No news for too long: look for the manifest, and where there is none, ask again. */
  | 'renew'
  /** The same, but it was asked for often enough. */
  | 'give-up';

/**
 * What a poll that found no news does about a dump.
 *
 * A dump that a packager has taken is lost after `dumpLease`. One that still waits in the queue is not lost however long the
 * queue is: sending it again would only put it behind itself. It is lost once the request has expired there.
 */
export function judgeLease(dump: Dump, now: Date, { dumpLease, requestTtl }: LeaseTerms): LeaseDecision {
  if (!isLive(dump)) return 'wait';
  const isTaken = dump.outcome.status === 'running';
  if (!isTaken && dump.published === null) return since(dump.updated, now) > PUBLISH_GRACE ? 'publish' : 'wait';
  const isSilent = since(dump.updated, now) > dumpLease;
  const isLost = isTaken ? isSilent : since(dump.published ?? dump.created, now) > requestTtl;
  if (isLost) return dump.attempt < MAX_ATTEMPTS ? 'renew' : 'give-up';
  return isSilent ? 'look' : 'wait';
}

function since(moment: Date, now: Date): number {
  return now.getTime() - moment.getTime();
}
