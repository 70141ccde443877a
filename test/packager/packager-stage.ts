/** Embedded broker, folder, packager: what a test of whole jobs needs, and nothing of it pretended. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { pino } from 'pino';
import { startEmbeddedBroker, type EmbeddedBroker, type Limits } from '../../queue-config/embedded-broker/index.js';
import {
  DELETE_REQUESTS,
  decodeEvent,
  encodeDeleteRequest,
  encodePackageRequest,
  eventsOf,
  openBroker,
  PACKAGE_REQUESTS,
  type Broker,
  type Destination,
  type PackagerEvent,
  type ReceivedMessage,
} from '../../queue-config/index.js';
import { readPackagerConfig, startPackager, type Packager } from '../../packager/index.js';
import { waitUntil } from '../servers/wait-until.js';
import { KEY } from './docset-server.js';

export interface Stage {
  folder: string;
  archives: string;
  broker: Broker;
  embedded: EmbeddedBroker;
  start(env?: Record<string, string>): Promise<Packager>;
  request(url: string, dump: string, attempt?: number, queue?: Destination): Promise<void>;
  sendBare(body: string): Promise<void>;
  requestDelete(dump: string): Promise<void>;
  /** Drains the docset's queue until an event of that type came; answers all since the last call. */
  eventsUntil(type: PackagerEvent['type'], deadlineMs?: number): Promise<PackagerEvent[]>;
  drain(destination: Destination): Promise<ReceivedMessage[]>;
  /** Package requests that are not acknowledged. */
  requests(): number;
  readArchive(event: PackagerEvent | undefined): Promise<Buffer>;
  close(): Promise<void>;
}

export async function openStage(apiUrl: string, { limits = {} }: { limits?: Partial<Limits> } = {}): Promise<Stage> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-packager-'));
  const embedded = await startEmbeddedBroker({ folder: join(folder, 'broker'), port: 0, limits });
  const broker = openBroker({ urls: embedded.url });
  const packagers: Packager[] = [];
  const log = pino({ level: process.env['TEST_LOG'] ?? 'silent' });

  const drain = async (destination: Destination): Promise<ReceivedMessage[]> => {
    const all: ReceivedMessage[] = [];
    await broker.drain(destination, (messages) => {
      all.push(...messages);
      return Promise.resolve();
    });
    return all;
  };

  return {
    folder,
    archives: join(folder, 'archives'),
    broker,
    embedded,
    async start(env = {}) {
      const config = readPackagerConfig({
        API_URL: apiUrl,
        PACKAGER_KEY: KEY,
        BROKER_URL: embedded.url,
        DATA_DIR: folder,
        ...env,
      });
      const packager = startPackager(config, { log });
      packagers.push(packager);
      await packager.ready;
      return packager;
    },
    request: (url, dump, attempt = 1, destination = PACKAGE_REQUESTS) =>
      broker.publish({
        destination,
        ...encodePackageRequest({ url, dump, attempt, docset: '5' }),
        persistent: true,
      }),
    sendBare: (body) => broker.publish({ destination: PACKAGE_REQUESTS, headers: {}, body, persistent: true }),
    requestDelete: (dump) =>
      broker.publish({ destination: DELETE_REQUESTS, ...encodeDeleteRequest(dump), persistent: true }),
    async eventsUntil(type, deadlineMs = 60_000) {
      const events: PackagerEvent[] = [];
      await waitUntil(
        `event ${type}`,
        async () => {
          for (const message of await drain(eventsOf('5'))) {
            const event = decodeEvent(message);
            if (event !== undefined) events.push(event);
          }
          return events.some((event) => event.type === type);
        },
        { deadlineMs },
      );
      return events;
    },
    drain,
    requests() {
      const queue = embedded.statistics().queues.find(({ name }) => name === PACKAGE_REQUESTS);
      return (queue?.depth ?? 0) + (queue?.unacknowledged ?? 0);
    },
    readArchive(event) {
      if (event?.type !== 'Complete') throw new Error(`not complete: ${JSON.stringify(event)}`);
      return readFile(new URL(event.url));
    },
    async close() {
      await Promise.all(packagers.map((packager) => packager.stop()));
      await broker.close();
      await embedded.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Paths of all files under a folder, hidden ones too, relative to it. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
    .sort();
}
