/** The kick-off: a dump is asked for. */
import { randomUUID } from 'node:crypto';
import { ProblemError } from '../http/problems.js';
import { dismissDump } from './dismiss-dump.js';
import { isOutage } from './drain-events.js';
import { asOf, isLive, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import type { LockedDumps } from './dump-store.js';
import { pollDump, type PollResult } from './poll-dump.js';
import { publishRequest } from './publish.js';

export interface DumpRequest {
  docset: { id: string; revision: number; members: number };
  /** Sorted, none twice. */
  formats: string[];
  /** Make a new dump even where one is there. */
  force: boolean;
  traceparent?: string | undefined;
}

/**
 * Asks for a dump. The same docset revision and formats asked again while that dump is live or can be downloaded are the same dump.
 * The dump is accepted only once the broker has confirmed the request.
 * @throws {ProblemError} broker-unavailable: nothing is left behind
 */
export async function requestDump(parts: DumpParts, request: DumpRequest): Promise<PollResult> {
  const { dump, isNew, superseded } = await parts.store.withDocsetLocked(request.docset.id, (dumps) =>
    findOrInsert(dumps, request),
  );
  if (!isNew && dump.published !== null) return pollDump(parts, dump);
  try {
    // Also one that somebody else inserted a moment ago: only a confirmation of our own lets us say accepted.
    await publishRequest(parts, dump, request.traceparent);
  } catch (error) {
    await parts.store.deleteUnpublished(dump.id);
    if (!isOutage(error)) throw error;
    throw new ProblemError(
      'broker-unavailable',
      'The dump could not be asked for, since the message broker cannot be reached. Nothing was started.',
      {},
      { cause: error, headers: { 'Retry-After': '10' } },
    );
  }
  // Only now: had the new one failed, the old one would still be wanted.
  if (superseded !== undefined) await dismissDump(parts, superseded);
  if (isNew) parts.metrics.requested();
  return { dump: { ...dump, published: new Date() }, stale: false };
}

async function findOrInsert(
  dumps: LockedDumps,
  { docset, formats, force }: DumpRequest,
): Promise<{ dump: Dump; isNew: boolean; superseded?: Dump | undefined }> {
  const now = new Date();
  const known = await dumps.newest(formats);
  const existing = known === undefined ? undefined : asOf(known, now);
  const isUsable =
    existing?.docsetRevision === docset.revision && (isLive(existing) || existing.outcome.status === 'successful');
  if (isUsable && !force) return { dump: existing, isNew: false };
  const dump = await dumps.insert({
    id: randomUUID(),
    docset: docset.id,
    docsetRevision: docset.revision,
    formats,
    requested: docset.members,
    now,
  });
  return { dump, isNew: true, superseded: existing !== undefined && isLive(existing) ? existing : undefined };
}
