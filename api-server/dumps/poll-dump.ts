/** The poll: the only moment at which anybody looks at a dump. */
import ms from 'ms';
import type { DumpManifest } from '../../queue-config/index.js';
import { isOutage, drainEvents, findManifest, type Drained } from './drain-events.js';
import { asOf, isLive, nextAttempt, warned, type Dump } from './dump.js';
import type { DumpParts, DumpTerms } from './dump-parts.js';
import type { FailureSlug } from './failures.js';
import { adoptManifest } from './fold-event.js';
import { endOfAttempt, judgeLease, type LeaseDecision, type Loss } from './lease-policy.js';
import { freeStorage, publishRequest } from './publish.js';

export interface PollResult {
  dump: Dump;
  /** True where broker or store could not be asked, so that the dump may be further than this says. */
  stale: boolean;
}

/**
 * Brings a dump up to date and returns it: as it was at the call, or later. One that is over is answered from the database alone.
 * Broker and store may be down: then the last known state comes back as stale.
 * @param known the dump as it was read just now
 */
export async function pollDump(parts: DumpParts, known: Dump): Promise<PollResult> {
  if (!isLive(known)) return { dump: await settleExpiry(parts, known), stale: false };
  const drained = await drainEvents(parts, known);
  const isFresh = drained.isFresh && drained.isComplete;
  try {
    await askAgain(parts, drained.changed);
    // Nothing was waiting, and nothing is to be done: it is as it was when the poll began. What other polls write meanwhile is theirs to tell.
    if (isFresh && drained.isEmpty && isQuiet(parts, known)) return { dump: known, stale: false };
    const changed = drained.changed.get(known.id);
    // Without news of our own it is read again: another poll may have had them, and asking again is noted there.
    const dump = changed === undefined || isUnasked(changed) ? await reload(parts, known) : changed;
    if (!isLive(dump)) return { dump, stale: false };
    const settled = await settleLease(parts, dump, drained);
    return { dump: settled, stale: !isFresh && isLive(settled) };
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: known.id }, 'a silent dump could not be looked for');
    const dump = await reload(parts, known);
    return { dump, stale: isLive(dump) };
  }
}

/** True for a dump that is only to be waited for: there was news of it lately. */
const isQuiet = ({ store, terms }: DumpParts, dump: Dump): boolean =>
  judgeLease(dump, store.now(), terms).act === 'wait';

/** An attempt after the first, whose request is still to be sent. */
const isUnasked = (dump: Dump): boolean => isLive(dump) && dump.attempt > 1 && dump.published === null;

/** Sends the requests of those that what was drained has shown to be without an archive. */
async function askAgain(parts: DumpParts, changed: ReadonlyMap<string, Dump>): Promise<void> {
  for (const dump of changed.values()) if (isUnasked(dump)) await publishRequest(parts, dump);
}

/** Acts on what the lease says. Where the broker was not reached, only the store is looked at. */
async function settleLease(parts: DumpParts, dump: Dump, { isFresh, isComplete }: Drained): Promise<Dump> {
  const decision = judgeLease(dump, parts.store.now(), parts.terms);
  if (decision.act === 'publish') {
    if (isFresh) await publishRequest(parts, dump);
    return reload(parts, dump);
  }
  // The news that it is complete may be somewhere in what was not read.
  if (decision.act === 'wait' && isComplete) return dump;
  const adopted = await adoptStored(parts, dump);
  if (adopted !== undefined || !isFresh) return adopted ?? dump;
  switch (decision.act) {
    case 'wait':
      return noteFlood(parts, dump);
    case 'look':
      return isComplete ? settleOvertaken(parts, dump) : noteFlood(parts, dump);
    case 'renew':
    case 'give-up':
      return endAttempt(parts, dump, decision.why, stillSays(parts, decision.act));
  }
}

/** A request that somebody holds who says nothing would wait for as long as requests live: those sent after it tell. */
async function settleOvertaken(parts: DumpParts, dump: Dump): Promise<Dump> {
  const { dumpLease, largeDocset } = parts.terms;
  if (dump.outcome.status !== 'accepted') return dump;
  const latest = new Date(parts.store.now().getTime() - dumpLease);
  if (!(await parts.store.isOvertaken(dump, latest, largeDocset))) return dump;
  const stillWaits = (current: Dump): boolean =>
    current.outcome.status === 'accepted' && current.attempt === dump.attempt;
  return endAttempt(parts, dump, 'request-lost', stillWaits);
}

async function noteFlood({ store }: DumpParts, dump: Dump): Promise<Dump> {
  const noted = await store.change(dump.id, (current) =>
    isLive(current) ? warned(current, 'events-flooded', store.now()) : current,
  );
  return noted ?? dump;
}

/** A packager may have finished without our hearing of it: its manifest tells, at any attempt's key. */
async function adoptStored(parts: DumpParts, dump: Dump): Promise<Dump | undefined> {
  for (let attempt = dump.attempt; attempt >= 1; attempt--) {
    const manifest = await findManifest(parts, dump.id, attempt);
    if (manifest === undefined) continue;
    return adopt(parts, dump, manifest);
  }
  return undefined;
}

async function adopt(parts: DumpParts, dump: Dump, manifest: DumpManifest): Promise<Dump> {
  const { archiveTtl } = parts.terms;
  const adopted = await changeIf(parts, dump, isLive, (current) =>
    adoptManifest(current, manifest, { now: parts.store.now(), archiveTtl }),
  );
  if (adopted === undefined) return reload(parts, dump);
  parts.metrics.finished(adopted.outcome.status);
  return adopted;
}

/** The present attempt has come to nothing: the dump is asked for again, or was so often enough. */
async function endAttempt(parts: DumpParts, dump: Dump, why: Loss, holds: (current: Dump) => boolean): Promise<Dump> {
  return endOfAttempt(dump, why).act === 'renew' ? renew(parts, dump, why, holds) : giveUp(parts, dump, why, holds);
}

async function renew(parts: DumpParts, dump: Dump, why: Loss, holds: (current: Dump) => boolean): Promise<Dump> {
  const renewed = await changeIf(parts, dump, holds, (current) => nextAttempt(current, parts.store.now(), why));
  if (renewed === undefined) return reload(parts, dump);
  const { packager } = dump;
  parts.metrics.lost(why);
  parts.log.warn({ dump: dump.id, attempt: renewed.attempt, why, packager }, 'a packager was lost; asking again');
  await publishRequest(parts, renewed);
  return reload(parts, dump);
}

async function giveUp(parts: DumpParts, dump: Dump, why: Loss, holds: (current: Dump) => boolean): Promise<Dump> {
  const lost = await changeIf(parts, dump, holds, (current) => {
    const now = parts.store.now();
    const error = { code: FAILURE_OF[why], detail: detailOf(current, why, parts.terms) };
    return { ...warned(current, why, now), updated: now, outcome: { status: 'failed', finished: now, error } };
  });
  if (lost === undefined) return reload(parts, dump);
  parts.metrics.lost(why);
  parts.metrics.finished('failed');
  parts.log.error({ dump: dump.id, why, packager: dump.packager }, 'a dump was given up');
  await freeStorage(parts, lost);
  return lost;
}

const FAILURE_OF: Record<Loss, FailureSlug> = {
  'packager-lost': 'packager-lost',
  'packaging-overdue': 'packaging-overdue',
  'request-lost': 'packager-lost',
};

function detailOf({ attempt }: Dump, why: Loss, { packagingLimit }: DumpTerms): string {
  switch (why) {
    case 'packager-lost':
    case 'request-lost':
      return `The dump was asked for ${attempt} times, and each time nothing more was heard of it.`;
    case 'packaging-overdue':
      return `The dump was asked for ${attempt} times, and the last packager did not finish it within ${ms(packagingLimit, { long: true })}.`;
  }
}

/** True for a dump of which the lease still says so: another poll may have heard of it, or acted, since. */
function stillSays({ store, terms }: DumpParts, act: LeaseDecision['act']): (current: Dump) => boolean {
  return (current) => judgeLease(current, store.now(), terms).act === act;
}

/** Changes a dump where what made us want to still holds. */
function changeIf(
  { store }: DumpParts,
  { id }: Dump,
  holds: (current: Dump) => boolean,
  change: (current: Dump) => Dump,
): Promise<Dump | undefined> {
  return store.change(id, (current) => (holds(current) ? change(current) : current));
}

function reload({ store }: DumpParts, dump: Dump): Promise<Dump> {
  return store.renewed(dump);
}

/** The first look at an archive whose time is over writes that down and frees its storage. */
async function settleExpiry(parts: DumpParts, known: Dump): Promise<Dump> {
  const dump = asOf(known, parts.store.now());
  if (dump.outcome.status !== 'expired' || dump.storageFreed !== null) return dump;
  await parts.store.change(dump.id, (current) => asOf(current, parts.store.now()));
  try {
    await freeStorage(parts, dump);
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: dump.id }, 'an expired archive could not be deleted; the next look tries again');
  }
  return dump;
}
