/** The poll: the only moment at which anybody looks at a dump. */
import { isOutage, drainEvents, findManifest } from './drain-events.js';
import { asOf, isLive, nextAttempt, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { adoptManifest } from './fold-event.js';
import { judgeLease } from './lease-policy.js';
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
  const fresh = await drainEvents(parts, known.docset);
  const dump = (await parts.store.byId(known.id)) ?? known;
  if (!isLive(dump)) return { dump, stale: false };
  try {
    return { dump: await settleLease(parts, dump, fresh), stale: !fresh };
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: dump.id }, 'a silent dump could not be looked for');
    return { dump: (await parts.store.byId(known.id)) ?? dump, stale: true };
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
    const { archiveTtl } = parts.terms;
    return change(parts, dump, (current) => adoptManifest(current, manifest, { now: new Date(), archiveTtl }));
  }
  return undefined;
}

async function renew(parts: DumpParts, dump: Dump): Promise<Dump> {
  const renewed = await parts.store.withDocsetLocked(dump.docset, async (dumps) => {
    const current = (await dumps.live()).find(({ id }) => id === dump.id);
    // Another poll may have been here first.
    if (current === undefined || judgeLease(current, new Date(), parts.terms) !== 'renew') return undefined;
    const next = nextAttempt(current, new Date());
    await dumps.renew(next);
    return next;
  });
  if (renewed !== undefined) {
    parts.log.warn({ dump: dump.id, attempt: renewed.attempt }, 'a packager was lost; asking again');
    await publishRequest(parts, renewed);
  }
  return reload(parts, dump);
}

async function giveUp(parts: DumpParts, dump: Dump): Promise<Dump> {
  const now = new Date();
  const detail = `The dump was asked for ${dump.attempt} times, and each time nothing more was heard of it.`;
  const lost = await change(parts, dump, (current) => ({
    ...current,
    updated: now,
    outcome: { status: 'failed', finished: now, error: { code: 'packager-lost', detail } },
  }));
  parts.log.error({ dump: dump.id }, 'a dump was given up');
  await freeStorage(parts, lost);
  return lost;
}

/** Changes a dump under its docset's lock if it is still live, and returns it as it then is. */
async function change(parts: DumpParts, dump: Dump, how: (current: Dump) => Dump): Promise<Dump> {
  const changed = await parts.store.withDocsetLocked(dump.docset, async (dumps) => {
    const current = (await dumps.live()).find(({ id }) => id === dump.id);
    if (current === undefined) return undefined;
    const next = how(current);
    await dumps.update(next);
    return next;
  });
  if (changed === undefined) return reload(parts, dump);
  if (!isLive(changed)) parts.metrics.finished(changed.outcome.status);
  return changed;
}

async function reload({ store }: DumpParts, dump: Dump): Promise<Dump> {
  return (await store.byId(dump.id)) ?? dump;
}

/** The first look at an archive whose time is over writes that down and frees its storage. */
async function settleExpiry(parts: DumpParts, known: Dump): Promise<Dump> {
  const dump = asOf(known, new Date());
  if (dump.outcome.status !== 'expired' || dump.storageFreed !== null) return dump;
  await parts.store.withDocsetLocked(dump.docset, (dumps) => dumps.update(dump));
  try {
    await freeStorage(parts, dump);
  } catch (error) {
    if (!isOutage(error)) throw error;
    parts.log.warn({ err: error, dump: dump.id }, 'an expired archive could not be deleted; the next look tries again');
  }
  return dump;
}
