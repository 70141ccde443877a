/** Cancelling a live dump, and freeing the storage of a finished one. */
import { ProblemError } from '../http/problems.js';
import { isOutage } from './drain-events.js';
import { isLive, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import type { FailureSlug } from './failures.js';
import { freeStorage } from './publish.js';

/**
 * Ends a dump: a live one is `dismissed` at once (its packager hears of it at its next request to us), the archive of a successful one is
 * `expired` at once; what is stored is deleted by a packager. Doing it twice does no harm.
 * @throws {ProblemError} broker-unavailable: the dump is over, but its storage is not freed yet; asking again does that
 */
export async function dismissDump(parts: DumpParts, dump: Dump): Promise<Dump> {
  return end(parts, dump, (current) => endNow(current, parts.store.now()));
}

/**
 * Ends a live dump as failed, and frees what is stored of it.
 * @throws {ProblemError} broker-unavailable, as above
 */
export async function failDump(parts: DumpParts, dump: Dump, code: FailureSlug, detail: string): Promise<Dump> {
  return end(parts, dump, (current) => {
    if (!isLive(current)) return current;
    const now = parts.store.now();
    return { ...current, updated: now, outcome: { status: 'failed', finished: now, error: { code, detail } } };
  });
}

async function end(parts: DumpParts, dump: Dump, change: (current: Dump) => Dump): Promise<Dump> {
  const changed = await parts.store.change(dump.id, change);
  const ended = changed ?? (await parts.store.byId(dump.id)) ?? dump;
  try {
    await freeStorage(parts, ended);
  } catch (error) {
    if (!isOutage(error)) throw error;
    throw new ProblemError(
      'broker-unavailable',
      `The dump is ${ended.outcome.status}, but its storage could not be freed: the message broker cannot be reached. DELETE it again later.`,
      {},
      { cause: error, headers: { 'Retry-After': '10' } },
    );
  }
  return ended;
}

function endNow(dump: Dump, now: Date): Dump {
  if (isLive(dump)) return { ...dump, updated: now, outcome: { status: 'dismissed', finished: now } };
  if (dump.outcome.status !== 'successful') return dump;
  return { ...dump, updated: now, outcome: { ...dump.outcome, status: 'expired', expires: now } };
}
