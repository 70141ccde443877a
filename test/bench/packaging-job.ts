/** Whole jobs of a packager in a process of its own: the request goes out, and its `Complete` is waited for. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  decodeEvent,
  encodePackageRequest,
  eventsOf,
  openBroker,
  PACKAGE_REQUESTS,
  type PackagerEvent,
} from '../../queue-config/index.js';
import { startAdit } from '../acceptance/adit-process.js';
import { startEmbeddedStage } from '../acceptance/stage.js';

export interface Job {
  /** From the publication of the request to the arrival of `Complete`. */
  milliseconds: number;
  /** Of the archive. */
  bytes: number;
  documents: number;
  omitted: number;
}

export interface PackagerUnderTest {
  run(url: string): Promise<Job>;
  /** Megabytes of resident memory at its highest, as the operating system counted them. */
  peakMemory(): number;
  close(): Promise<void>;
}

export interface PackagerOptions {
  apiUrl: string;
  packagerKey: string;
  /** `DATA_DIR`: archives go there, and segments may lie there. */
  folder: string;
}

const DOCSET = '5';

/** On an embedded broker, which is in this process. */
export async function startPackagerUnderTest({
  apiUrl,
  packagerKey,
  folder,
}: PackagerOptions): Promise<PackagerUnderTest> {
  const stage = await startEmbeddedStage();
  const broker = openBroker({ urls: stage.broker.url('operator') });
  const arrived = watchEvents(broker);
  const packager = await startAdit(
    'packager',
    {
      API_URL: apiUrl,
      PACKAGER_KEY: packagerKey,
      BROKER_URL: stage.broker.url('packager'),
      DATA_DIR: folder,
      LOG_LEVEL: 'warn',
    },
    join(folder, 'packager.log'),
  );
  let jobs = 0;
  return {
    async run(url) {
      const dump = `bench-${++jobs}`;
      const ended = arrived.end(DOCSET);
      const started = performance.now();
      const request = encodePackageRequest({ url, dump, attempt: 1, docset: DOCSET });
      await broker.publish({ destination: PACKAGE_REQUESTS, ...request, persistent: true });
      const { size = NaN, documents = NaN, omitted = NaN } = await ended;
      return { milliseconds: performance.now() - started, bytes: size, documents, omitted };
    },
    peakMemory: () => peakMemoryOf(packager.pid),
    async close() {
      await packager.stop();
      await arrived.close();
      await broker.close();
      await stage.close();
    },
  };
}

/** Of a process that runs, in megabytes. */
export function peakMemoryOf(pid: number): number {
  const kilobytes = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
  return (kilobytes * 1024) / 1e6;
}

type Complete = Extract<PackagerEvent, { type: 'Complete' }>;

export interface EventWatch {
  /** The next end of a job on that docset. Rejects where it failed. */
  end(docset: string): Promise<Complete>;
  close(): Promise<void>;
}

/** Stands on the queues of docsets, as no api-server does, so that an event is seen as soon as it is there. */
export function watchEvents(broker: ReturnType<typeof openBroker>): EventWatch {
  const consumers = new Map<string, ReturnType<typeof broker.consume>>();
  const waiting = new Map<string, (event: PackagerEvent) => void>();
  return {
    async end(docset) {
      if (!consumers.has(docset)) {
        const consumer = broker.consume(eventsOf(docset), { prefetch: 100 }, async (delivery) => {
          const event = decodeEvent(delivery.message);
          await delivery.ack();
          if (event?.type === 'Complete' || event?.type === 'Failed') waiting.get(docset)?.(event);
        });
        consumers.set(docset, consumer);
      }
      const ended = new Promise<PackagerEvent>((resolve) => waiting.set(docset, resolve));
      const event = await ended;
      if (event.type !== 'Complete') throw new Error(`the job has ended with ${JSON.stringify(event)}`);
      return event;
    },
    async close() {
      await Promise.all([...consumers.values()].map((consumer) => consumer.stop()));
    },
  };
}
