/** One package request, from its acceptance to its acknowledgement (design §3 and §4). */
import { setMaxListeners } from 'node:events';
import type { Logger } from 'pino';
import {
  BrokerRefusedError,
  BrokerUnavailableError,
  type Delivery,
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

export interface JobSurroundings {
  config: PackagerConfig;
  store: ArchiveStore;
  metrics: PackagerMetrics;
  log: Logger;
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
  const { config, store, log } = surroundings;
  const run = Date.now();
  const reporter = createEventReporter(delivery, request, { run, eventTtl: config.eventTtl, log });
  try {
    // At once, and before anything is fetched: the miner's next poll shows that somebody works on it.
    await reporter.say({ type: 'Accepted' });
    const end = await work(delivery, request, run, reporter, surroundings);
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

async function work(
  delivery: Delivery,
  request: PackageRequest,
  run: number,
  reporter: EventReporter,
  { config, store, gone, log, readShares }: JobSurroundings,
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
  const { dump, traceparent } = request;
  const { apiUrl, packagerKey, contentFolder } = config;
  const resources = { contentFolder, readShares };
  const client = createSourceClient({ apiUrl, packagerKey, dump, traceparent, signal, onBytes, resources });
  try {
    const keys = archiveKeysOf(request, run);
    const manifest = await buildArchive({ request, run, keys, store, client, reporter, signal, onBytes });
    return { type: 'complete', manifest };
  } catch (error) {
    if (delivery.lost.aborted) return { type: 'lost' };
    const reason: unknown = signal.aborted ? signal.reason : error;
    if (reason instanceof DumpGoneError) return { type: 'gone' };
    const failure = failureOf(reason);
    log.error({ err: error, code: failure.code }, 'the job failed');
    return { type: 'failed', failure };
  } finally {
    watch.stop();
    // Whatever is still being fetched has nobody waiting for it.
    ending.abort(new DumpGoneError());
  }
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
