/** The packager: consumes requests until it is stopped. Reads no environment and owns no process. */
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { pid } from 'node:process';
import pRetry from 'p-retry';
import type { Logger } from 'pino';
import {
  decodeDeleteRequest,
  decodePackageRequest,
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  openBroker,
  PACKAGE_REQUESTS,
  type Delivery,
  type Destination,
} from '../queue-config/index.js';
import { openArchiveStore } from './archive-store/open-archive-store.js';
import type { PackagerConfig } from './config.js';
import { decodeOrBury } from './dead-letters.js';
import { startHealthServer, type HealthServer } from './health-server.js';
import { DumpGoneError } from './job/job-failure.js';
import { runPackageJob } from './job/run-package-job.js';
import { createSuspectTurns } from './job/suspects.js';
import { createMetrics } from './metrics.js';
import { createReadShares } from './source/read-shares.js';

export interface Packager {
  /** Resolves when both queues are consumed. Rejects where the health port cannot be had. */
  readonly ready: Promise<void>;
  /** Port of /healthz and /metrics, once ready; undefined where none was asked for. */
  readonly healthPort: () => number | undefined;
  /** Aborts the running jobs, whose requests go back to the broker, and ends every connection. */
  stop(): Promise<void>;
}

const DELETE_TRIES = 5;
/** Milliseconds for which no part has come to an upload that nobody can be at work on any more: 24 h. */
const ORPHANED = 24 * 60 * 60 * 1000;

export function startPackager(config: PackagerConfig, { log }: { log: Logger }): Packager {
  const broker = openBroker({
    urls: config.brokerUrl,
    dialect: config.brokerDialect,
    authority: config.brokerAuthority,
    onRecognised: (recognised) => log.info(recognised, 'the broker is known'),
  });
  const store = openArchiveStore(config.archiveStore);
  const metrics = createMetrics();
  const readShares = createReadShares();
  const suspects = createSuspectTurns();
  const name = nameOf(config);
  log.info({ packager: name }, 'the packager starts');
  /** Jobs of this packager by the dump that they build. */
  const running = new Map<string, Set<AbortController>>();
  let healthServer: HealthServer | undefined;

  const onPackageRequest = async (delivery: Delivery, queue: Destination): Promise<void> => {
    const decoded = await decodeOrBury(delivery, queue, decodePackageRequest);
    if (decoded.type === 'buried') {
      noteDeadLetter(queue, decoded.reason);
      return;
    }
    const request = decoded.content;
    const { dump, attempt, docset, formats } = request;
    const jobLog = log.child({ dump, attempt, docset, formats });
    const gone = new AbortController();
    const forget = remember(running, dump ?? '', gone);
    const elapsed = metrics.duration.startTimer();
    metrics.running.inc();
    jobLog.info('the job starts');
    try {
      const end = await runPackageJob(delivery, request, {
        config,
        store,
        metrics,
        packager: name,
        queue,
        suspects,
        readShares,
        log: jobLog,
        gone: gone.signal,
      });
      elapsed({ outcome: end.type });
      metrics.jobs.inc({ outcome: end.type, code: end.type === 'failed' ? end.failure.code : '' });
      if (end.type === 'complete') {
        const { archive, counts, files } = end.manifest;
        metrics.archiveBytes.inc(archive.size);
        metrics.files.inc({ outcome: 'packed' }, files.packed);
        metrics.files.inc({ outcome: 'omitted' }, files.omitted);
        jobLog.info({ archive, counts }, 'the job is complete');
      } else {
        jobLog.info({ outcome: end.type }, 'the job has ended');
      }
    } finally {
      metrics.running.dec();
      forget();
    }
  };

  const onDeleteRequest = async (delivery: Delivery): Promise<void> => {
    const decoded = await decodeOrBury(delivery, DELETE_REQUESTS, decodeDeleteRequest);
    if (decoded.type === 'buried') {
      noteDeadLetter(DELETE_REQUESTS, decoded.reason);
      return;
    }
    const { dump, prefix } = decoded.content;
    for (const gone of running.get(dump) ?? []) gone.abort(new DumpGoneError());
    const objects = await pRetry(() => store.deleteAll(prefix), { retries: DELETE_TRIES, signal: delivery.lost });
    await delivery.ack();
    metrics.deletions.inc();
    log.info({ dump, objects }, 'the storage of a dump was freed');
  };

  const noteDeadLetter = (queue: Destination, reason: string): void => {
    metrics.deadLetters.inc({ queue });
    log.error({ queue, reason }, 'an unreadable message went to the dead letters');
  };

  const consume = (
    queue: Destination,
    prefetch: number,
    onDelivery: (delivery: Delivery, queue: Destination) => Promise<void>,
  ) =>
    broker.consume(
      queue,
      {
        prefetch,
        onConnectionChange({ connected, url, reason }) {
          metrics.connected.set({ queue }, connected ? 1 : 0);
          log[connected ? 'info' : 'warn'](
            { queue, url: withoutPasscode(url), reason },
            connected ? 'consuming' : 'the broker is not there',
          );
        },
      },
      async (delivery) => {
        try {
          await onDelivery(delivery, queue);
        } catch (error) {
          if (!delivery.lost.aborted) log.error({ err: error, queue }, 'a message is given back to the broker');
          throw error;
        }
      },
    );
  const consumers = [
    ...(config.concurrency > 0 ? [consume(PACKAGE_REQUESTS, config.concurrency, onPackageRequest)] : []),
    ...(config.largeConcurrency > 0
      ? [consume(LARGE_PACKAGE_REQUESTS, config.largeConcurrency, onPackageRequest)]
      : []),
    consume(DELETE_REQUESTS, 1, onDeleteRequest),
  ];
  const health = () => {
    const connected = consumers.every((consumer) => consumer.connected);
    const jobs = [...running.values()].reduce((sum, jobsOfDump) => sum + jobsOfDump.size, 0);
    return { healthy: connected, broker: connected ? 'connected' : 'not connected', jobs };
  };
  const startHealth = async (): Promise<void> => {
    if (config.healthPort === undefined) return;
    healthServer = await startHealthServer(config.healthPort, { registry: metrics.registry, health });
  };
  const healthStarted = startHealth();
  // What died with other packagers; a dump that is built again clears away its own.
  const swept = store.sweepUnfinished('dumps/', new Date(Date.now() - ORPHANED)).then(
    (orphans) => {
      if (orphans > 0) log.info({ orphans }, 'writes that nobody will finish were cleared away');
    },
    (error: unknown) =>
      log.warn({ err: error }, 'unfinished writes could not be looked for; the next start tries again'),
  );
  const ready = Promise.all([healthStarted, ...consumers.map((consumer) => consumer.ready)]).then(() => undefined);
  // Whoever never waits for `ready` still learns of its failure from the log.
  ready.catch((error: unknown) => log.fatal({ err: error }, 'the packager did not start'));

  return {
    ready,
    healthPort: () => healthServer?.port,
    async stop() {
      // The connections go first: from then on the requests are free for others, and each job ends on its `lost`.
      await broker.close();
      await swept;
      await store.close();
      await healthStarted.catch(() => undefined);
      await healthServer?.close();
    },
  };
}

/** As events and the log show it to operators: `host/process/id`, the last since containers often have the same of both. */
function nameOf({ name }: PackagerConfig): string {
  const host = (name ?? hostname()).replace(/[^A-Za-z0-9.-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '');
  return `${host.slice(0, 80) || 'packager'}/${pid}/${randomBytes(3).toString('hex')}`;
}

/** Returns how to forget it again. */
function remember(running: Map<string, Set<AbortController>>, dump: string, job: AbortController): () => void {
  const jobs = running.get(dump) ?? new Set();
  running.set(dump, jobs.add(job));
  return () => {
    jobs.delete(job);
    if (jobs.size === 0) running.delete(dump);
  };
}

function withoutPasscode(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//');
}
