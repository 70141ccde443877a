/** One package request, from its acceptance to its acknowledgement (design §3 and §4). */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import {
  BrokerRefusedError,
  BrokerUnavailableError,
  deadLetterMessage,
  type Delivery,
  type Destination,
  type DumpManifest,
  type PackageRequest,
} from '../../queue-config/index.js';
import { StoreUnavailableError, type ArchiveStore } from '../archive-store/archive-store.js';
import type { PackagerConfig } from '../config.js';
import type { PackagerMetrics } from '../metrics.js';
import type { ReadShares } from '../source/read-shares.js';
import { createSourceClient } from '../source/source-client.js';
import { archiveKeysOf } from './archive-keys.js';
import { buildArchive } from './build-archive.js';
import { createEventReporter, type EventReporter } from './event-reporter.js';
import { DumpGoneError, JobFailedError } from './job-failure.js';
import { startStallWatch } from './stall-watch.js';
import { findStarts, markStart, mayHaveBegun, MOST_STARTS, type EarlierStarts } from './starts.js';
import type { SuspectTurns } from './suspects.js';

export interface JobSurroundings {
  config: PackagerConfig;
  store: ArchiveStore;
  metrics: PackagerMetrics;
  log: Logger;
  /** The packager's name. */
  packager: string;
  /** Where the request came from. */
  queue: Destination;
  /** Those of all jobs. */
  suspects: SuspectTurns;
  /** Divides the memory for reading ahead among the jobs. */
  readShares: ReadShares;
  /** Aborted when the dump is deleted while this job runs. */
  gone: AbortSignal;
}

export type JobEnd =
  | { type: 'complete'; manifest: DumpManifest }
  | { type: 'failed'; failure: JobFailedError }
  /** Nobody wants the dump any more. */
  | { type: 'gone' }
  /** The request is somebody else's now; nothing was said or acknowledged. */
  | { type: 'lost' };

/** Rejects only where the broker did not take the terminal event: the request has to be handed out again then. */
export async function runPackageJob(
  delivery: Delivery,
  request: PackageRequest,
  surroundings: JobSurroundings,
): Promise<JobEnd> {
  const { config, store, packager, log } = surroundings;
  const run = Date.now();
  const reporter = createEventReporter(delivery, request, { run, eventTtl: config.eventTtl, packager, log });
  try {
    // At once, and before anything is fetched: the miner's next poll shows that somebody works on it.
    await reporter.say({ type: 'Accepted' });
    const end = await workWatched(delivery, request, run, reporter, surroundings);
    if (end.type === 'lost' || delivery.lost.aborted) return { type: 'lost' };
    if (end.type === 'complete') await reporter.say(completeEvent(end.manifest, store));
    if (end.type === 'failed') {
      reporter.endPhases();
      await reporter.say({ type: 'Failed', detail: end.failure.message, code: end.failure.code });
    }
    await delivery.ack();
    return end;
  } catch (error) {
    if (delivery.lost.aborted) return { type: 'lost' };
    throw error;
  } finally {
    reporter.stop();
  }
}

/** The work, by one who leaves word of having begun it where others may have died of it. */
async function workWatched(
  delivery: Delivery,
  request: PackageRequest,
  run: number,
  reporter: EventReporter,
  surroundings: JobSurroundings,
): Promise<JobEnd> {
  const { store, log, packager, gone } = surroundings;
  // Without an id nothing tells that it is the same job again.
  if (request.dump === undefined || !mayHaveBegun(delivery, request)) {
    return work(delivery, request, run, reporter, surroundings);
  }
  let earlierMarks: string[] = [];
  let ownMarks: string[] = [];
  let endTurn: () => void = () => undefined;
  let end: JobEnd | undefined;
  try {
    const keys = archiveKeysOf(request, run);
    const earlier = await findStarts(store, keys);
    earlierMarks = earlier.marks;
    if (earlier.count > 1) {
      log.warn({ earlier }, 'others have begun this job, and were not heard of again');
      reporter.progress({ percent: 0 });
      endTurn = await surroundings.suspects.take(AbortSignal.any([delivery.lost, gone]));
    }
    if (earlier.count >= MOST_STARTS) {
      end = await putAside(delivery, earlier, surroundings);
    } else {
      ownMarks = [await markStart(store, keys, packager)];
      end = await work(delivery, request, run, reporter, surroundings);
    }
  } catch (error) {
    end = endOf(error, delivery, AbortSignal.any([delivery.lost, gone]), log);
  } finally {
    endTurn();
    // Where it is given back, or lost, those of the others stay: whoever has it next counts them.
    const isOver = end !== undefined && !delivery.lost.aborted;
    await forget(store, isOver ? [...earlierMarks, ...ownMarks] : ownMarks, log);
  }
  return end;
}

/** Nobody is given the request any more: it goes to the dead letters. */
async function putAside(
  delivery: Delivery,
  { count, packagers }: EarlierStarts,
  { queue, log }: JobSurroundings,
): Promise<JobEnd> {
  const names = packagers.length === 0 ? '' : `, among them ${packagers.join(' and ')}`;
  const reason = `${count} packagers began it and were not heard of again${names}`;
  await delivery.publish(deadLetterMessage(delivery.message, queue, reason));
  log.error({ count, packagers }, 'the request was put aside: packagers die of it');
  const detail = `${count} packagers ended without a word while they made this dump, so that it is given to no other.`;
  return { type: 'failed', failure: new JobFailedError('packager-killed', detail) };
}

async function forget(store: ArchiveStore, marks: readonly string[], log: Logger): Promise<void> {
  try {
    await Promise.all(marks.map((key) => store.delete(key)));
  } catch (error) {
    log.warn({ err: error }, 'the mark of a start could not be deleted; it goes with the dump');
  }
}

async function work(
  delivery: Delivery,
  request: PackageRequest,
  run: number,
  reporter: EventReporter,
  { config, store, gone, log, packager, readShares }: JobSurroundings,
): Promise<JobEnd> {
  const ending = new AbortController();
  const signal = AbortSignal.any([delivery.lost, gone, ending.signal]);
  // Every request under way listens to it.
  setMaxListeners(0, signal);
  const watch = startStallWatch(config.stallTimeout, () => {
    const seconds = Math.round(config.stallTimeout / 1000);
    ending.abort(
      new JobFailedError('packager-stalled', `The packager got no bytes for ${seconds} seconds and gave up.`),
    );
  });
  const onBytes = (): void => watch.touch();
  const { dump, attempt, traceparent } = request;
  const { apiUrl, packagerKey, contentFolder } = config;
  const resources = { contentFolder, readShares };
  const client = createSourceClient({ apiUrl, packagerKey, dump, attempt, traceparent, signal, onBytes, resources });
  try {
    const keys = archiveKeysOf(request, run);
    const manifest = await buildArchive({ request, run, packager, keys, store, client, reporter, signal, onBytes });
    return { type: 'complete', manifest };
  } catch (error) {
    return endOf(error, delivery, signal, log);
  } finally {
    watch.stop();
    // Whatever is still being fetched has nobody waiting for it.
    ending.abort(new DumpGoneError());
  }
}

/** @param signal ends the work; where it has, its reason counts more than what the work said of it */
function endOf(error: unknown, delivery: Delivery, signal: AbortSignal, log: Logger): JobEnd {
  if (delivery.lost.aborted) return { type: 'lost' };
  const reason: unknown = signal.aborted ? signal.reason : error;
  if (reason instanceof DumpGoneError) return { type: 'gone' };
  const failure = failureOf(reason);
  log.error({ err: error, code: failure.code }, 'the job failed');
  return { type: 'failed', failure };
}

function failureOf(error: unknown): JobFailedError {
  if (error instanceof BrokerUnavailableError || error instanceof BrokerRefusedError) throw error;
  if (error instanceof JobFailedError) return error;
  if (error instanceof StoreUnavailableError) {
    return new JobFailedError('storage-unavailable', 'The archive could not be stored.', { cause: error });
  }
  return new JobFailedError('internal', 'The packager met an error of its own; its log says more.', { cause: error });
}

function completeEvent({ archive, counts }: DumpManifest, store: ArchiveStore) {
  return {
    type: 'Complete',
    url: store.urlOf(archive.key),
    size: archive.size,
    sha256: archive.sha256,
    documents: counts.packed,
    omitted: counts.omitted,
  } as const;
}
