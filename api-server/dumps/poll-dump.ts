/** The poll: the only moment at which anybody looks at a dump. */
import type { DumpManifest } from '../../queue-config/index.js';
import { isOutage, drainEvents, findManifest } from './drain-events.js';
import { asOf, isLive, nextAttempt, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { adoptManifest } from './fold-event.js';
import { judgeLease, type LeaseDecision } from './lease-policy.js';
import { freeStorage, publishRequest } from './publish.js';

export interface PollResult {
  dump: Dump;
  /** True where broker or store could not be asked, so that the dump may be further than this says. */
  stale: boolean;
}

/**
 * Brings a dump up to date and returns it. One that is over is answered from the database alone.
 * Broker and store may be down: then the last known state comes back as stale.
 */
export async function pollDump(parts: DumpParts, known: Dump): Promise<PollResult> {
  if (!isLive(known)) return { dump: await settleExpiry(parts, known), stale: false };
  const { isFresh: fresh, changed } = await drainEvents(parts, known.docset);
  // Without news of our own it is read again: another poll may have had them.
  const dump = changed.get(known.id) ?? (await reload(parts, known));
  if (!isLive(dump)) return { dump, stale: false };
  try {
    return { dump: await settleLease(parts, dump, fresh), stale: !fresh };
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: dump.id }, 'a silent dump could not be looked for');
    return { dump: await reload(parts, dump), stale: true };
  }
}

/** Acts on what the lease says. Where the broker was not reached, only the store is looked at. */
async function settleLease(parts: DumpParts, dump: Dump, fresh: boolean): Promise<Dump> {
  const decision = judgeLease(dump, new Date(), parts.terms);
  if (decision === 'wait') return dump;
  if (decision === 'publish') {
    if (fresh) await publishRequest(parts, dump);
    return reload(parts, dump);
  }
  const adopted = await adoptStored(parts, dump);
  if (adopted !== undefined || decision === 'look' || !fresh) return adopted ?? dump;
  return decision === 'renew' ? renew(parts, dump) : giveUp(parts, dump);
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
    adoptManifest(current, manifest, { now: new Date(), archiveTtl }),
  );
  if (adopted === undefined) return reload(parts, dump);
  parts.metrics.finished(adopted.outcome.status);
  return adopted;
}

async function renew(parts: DumpParts, dump: Dump): Promise<Dump> {
  const renewed = await changeIf(parts, dump, stillSays(parts, 'renew'), (current) => nextAttempt(current, new Date()));
  if (renewed !== undefined) {
    parts.log.warn({ dump: dump.id, attempt: renewed.attempt }, 'a packager was lost; asking again');
    await publishRequest(parts, renewed);
  }
  return reload(parts, dump);
}

async function giveUp(parts: DumpParts, dump: Dump): Promise<Dump> {
  const detail = `The dump was asked for ${dump.attempt} times, and each time nothing more was heard of it.`;
  const lost = await changeIf(parts, dump, stillSays(parts, 'give-up'), (current) => {
    const now = new Date();
    return {
      ...current,
      updated: now,
      outcome: { status: 'failed', finished: now, error: { code: 'packager-lost', detail } },
    };
  });
  if (lost === undefined) return reload(parts, dump);
  parts.metrics.finished('failed');
  parts.log.error({ dump: dump.id }, 'a dump was given up');
  await freeStorage(parts, lost);
  return lost;
}

/** True for a dump of which the lease still says so: another poll may have heard of it, or acted, since. */
function stillSays({ terms }: DumpParts, decision: LeaseDecision): (current: Dump) => boolean {
  return (current) => judgeLease(current, new Date(), terms) === decision;
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

async function reload({ store }: DumpParts, dump: Dump): Promise<Dump> {
  return (await store.byId(dump.id)) ?? dump;
}

/** The first look at an archive whose time is over writes that down and frees its storage. */
async function settleExpiry(parts: DumpParts, known: Dump): Promise<Dump> {
  const dump = asOf(known, new Date());
  if (dump.outcome.status !== 'expired' || dump.storageFreed !== null) return dump;
  await parts.store.change(dump.id, (current) => asOf(current, new Date()));
  try {
    await freeStorage(parts, dump);
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: dump.id }, 'an expired archive could not be deleted; the next look tries again');
  }
  return dump;
}
