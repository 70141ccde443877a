/** The kick-off: a dump is asked for. */
import { randomUUID } from 'node:crypto';
import type { Container } from '../../queue-config/index.js';
import type { DeltaCounts } from '../docsets/delta.js';
import { ProblemError } from '../http/problems.js';
import { dismissDump } from './dismiss-dump.js';
import { isOutage } from './drain-events.js';
import { asOf, isLive, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import type { Place } from './dump-store.js';
import { pollDump, type PollResult } from './poll-dump.js';
import { publishRequest } from './publish.js';
import { dumpPath, retryAfter } from './status-body.js';
import { newTicketSeed } from './ticket.js';

export interface DumpRequest {
  docset: { id: string; revision: number; members: number };
  /** Sorted, none twice. */
  formats: string[];
  container: Container;
  /** The dump that it is to be relative to; null: it is of the whole docset. */
  since: EarlierDump | null;
  /**
   * Where it is there, a dump that would hold nothing is not made, and this is asked why.
   * @throws {ProblemError} what is wrong with the formats
   */
  explainEmpty?: () => Promise<never>;
  /** The newest dump of these formats, this container and this `since`, as far as is known. */
  newest: Dump | undefined;
  /** Make a new dump even where one is there. */
  force: boolean;
  /** Whose quota of dumps at a time it takes; without one it takes none. */
  place?: Place;
  traceparent?: string | undefined;
}

export interface EarlierDump {
  /** Its id. */
  dump: string;
  /**
   * How the docset differs from what that dump was of.
   * @throws {ProblemError} `since-…` where that cannot be told
   */
  compare(): Promise<DeltaCounts>;
}

/**
 * Asks for a dump. The same docset revision and formats asked again while that dump is live or can be downloaded are the same dump.
 * The dump is accepted only once the broker has confirmed the request.
 * @throws {ProblemError} quota-exceeded, broker-unavailable: nothing is left behind
 */
export async function requestDump(parts: DumpParts, request: DumpRequest): Promise<PollResult> {
  const { dump, isNew, isFirst } = await findOrInsert(parts, request);
  if (!isNew && dump.published !== null) return pollDump(parts, dump);
  try {
    // Also one that somebody else inserted a moment ago: only a confirmation of our own lets us say accepted.
    if (!(await publishRequest(parts, dump, request.traceparent))) throw notAccepted();
  } catch (error) {
    await parts.store.deleteUnpublished(dump.id);
    throw isOutage(error) ? notAccepted(error) : error;
  }
  if (isNew) parts.metrics.requested();
  if (isNew && !isFirst) await endPredecessors(parts, dump);
  return { dump: { ...dump, published: parts.store.now() }, stale: false };
}

function notAccepted(cause?: unknown): ProblemError {
  const detail = 'The dump could not be asked for, since the message broker cannot be reached. Nothing was started.';
  return new ProblemError('broker-unavailable', detail, {}, { cause, headers: { 'Retry-After': '10' } });
}

/** Each dump follows one other, and only one follows it: of two that are asked for at once the second finds the first. */
async function findOrInsert(
  parts: DumpParts,
  { docset, formats, container, since, explainEmpty, newest, force, place }: DumpRequest,
): Promise<{ dump: Dump; isNew: boolean; isFirst: boolean }> {
  const { store } = parts;
  const now = store.now();
  let isSettled = false;
  const wanted = { formats, container, since: since === null ? null : since.dump };
  for (let known = newest; ; known = await store.newest(docset.id, wanted)) {
    const existing = known === undefined ? undefined : asOf(known, now);
    const isUsable =
      existing?.docsetRevision === docset.revision && (isLive(existing) || existing.outcome.status === 'successful');
    if (isUsable && !force) return { dump: existing, isNew: false, isFirst: false };
    const delta = await since?.compare();
    const facts = {
      docset: docset.id,
      docsetRevision: docset.revision,
      ...wanted,
      ...(delta === undefined ? { requested: docset.members } : { requested: delta.added + delta.changed, delta }),
      now,
    };
    const insertion = await store.insertAfter(
      known,
      { id: randomUUID(), ticketSeed: newTicketSeed(), ...facts },
      { place, holding: explainEmpty !== undefined },
    );
    switch (insertion.result) {
      case 'inserted':
        return { dump: insertion.dump, isNew: true, isFirst: known === undefined };
      case 'no-place':
        if (isSettled) throw await quotaExceeded(parts, insertion.place);
        await settleOne(parts, insertion.place);
        isSettled = true;
        break;
      case 'empty':
        await explainEmpty?.();
        break;
      case 'followed':
        break;
    }
  }
}

/** A dump is over when a poll has heard of it, and nobody may have polled: so those that count are looked at until one is over. */
async function settleOne(parts: DumpParts, { owner }: Place): Promise<void> {
  for (const dump of await parts.store.liveOfOwner(owner)) {
    if (!isLive((await pollDump(parts, dump)).dump)) return;
  }
}

async function quotaExceeded({ store }: DumpParts, { owner, limit }: Place): Promise<ProblemError> {
  const live = await store.liveOfOwner(owner);
  const seconds = Math.min(60, ...live.map((dump) => retryAfter(dump, store.now())));
  return new ProblemError(
    'quota-exceeded',
    `Your quota is ${limit} dumps being made at a time, and ${live.length} are. One that is over, or is cancelled with DELETE, no longer counts.`,
    { quota: 'dumps', limit, dumps: live.map(dumpPath) },
    {
      headers: {
        'RateLimit-Policy': `"dumps";q=${limit};qu="dumps"`,
        RateLimit: `"dumps";r=0;t=${seconds}`,
        'Retry-After': String(seconds),
      },
    },
  );
}

/**
 * Ends the earlier dumps of the same formats, and frees what they have stored: nobody reaches them any more. Only once the new
 * one is accepted, since until then the old one is still wanted. What cannot be freed now is at the next kick-off.
 */
async function endPredecessors(parts: DumpParts, { id, docset, formats, container, since }: Dump): Promise<void> {
  const predecessors = (await parts.store.ofDocset(docset)).filter(
    (other) =>
      other.id !== id &&
      other.formats.join() === formats.join() &&
      other.container === container &&
      other.since === since &&
      other.storageFreed === null,
  );
  for (const predecessor of predecessors) {
    try {
      await dismissDump(parts, predecessor);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      parts.log.warn({ err: error, dump: predecessor.id }, 'the storage of an earlier dump could not be freed');
    }
  }
}
