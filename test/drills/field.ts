/** One drill's service: api-servers and packagers that a supervisor starts again, and the servers behind them. */
import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import type { S3Client } from '@aws-sdk/client-s3';
import { createMinerClient, type MinerClient } from '../../cli/miner/miner-client.js';
import type { AditProcess } from '../acceptance/adit-process.js';
import { ingest, makeKey, makeService, someDocuments, type Service } from '../acceptance/service.js';
import { makeRealStores } from '../acceptance/stage.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL, type PostgreSQL } from '../servers/postgresql.js';
import { startRadosgw, type Radosgw } from '../servers/radosgw.js';
import { makeRunFolder } from '../servers/run-folder.js';
import { waitUntil } from '../servers/wait-until.js';
import type { DrillBroker } from './brokers.js';
import { startFaultLine, type FaultLine } from './fault-line.js';
import type { Random } from './random.js';
import { throughPort } from './step-lines.js';
import { filesBelow } from './traces.js';

/** The servers that one drill after another can use. */
export interface Ground {
  postgresql: PostgreSQL;
  radosgw: Radosgw;
  client: S3Client;
  close(): Promise<void>;
}

export async function startGround(): Promise<Ground> {
  const [postgresql, radosgw] = await Promise.all([startPostgreSQL(), startRadosgw()]);
  const client = radosgw.client();
  return {
    postgresql,
    radosgw,
    client,
    async close() {
      client.destroy();
      await Promise.all([postgresql.close(), radosgw.close()]);
    },
  };
}

/** A process that is started again, on the same port, until it runs: what systemd or Kubernetes does. */
export interface Supervised {
  readonly pid: number;
  running(): boolean;
  /** `kill -9`; it is not started again by that. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  stop(): Promise<void>;
  log(): string;
}

export interface FieldOptions {
  broker: DrillBroker;
  packagers: number;
  documents: number;
  /** For api-servers and packagers alike. */
  env?: Record<string, string>;
  /** @param stores what leads to database and store */
  apiEnv?: (
    stores: Readonly<Record<string, string>>,
    brokerUrl: string,
  ) => Promise<Record<string, string>> | Record<string, string>;
  /**
   * Of one packager, by its number from 0.
   * @param apiUrl where the api-server is
   */
  packagerEnv?: (index: number, apiUrl: string) => Promise<Record<string, string>> | Record<string, string>;
  /** How fast a connection to the store is, so that dumps take their time; undefined: as fast as it can. */
  storeBytesPerSecond?: number | undefined;
}

export interface Field {
  readonly ground: Ground;
  readonly broker: DrillBroker;
  readonly service: Service;
  readonly random: Random;
  /** Between the service and its store. */
  readonly storeLine: FaultLine;
  readonly url: string;
  readonly api: Supervised;
  readonly packagers: readonly Supervised[];
  readonly minerKey: string;
  readonly miner: MinerClient;
  /** The same miner, at another api-server; waits for nothing once the field is closed. */
  minerAt(url: string): Promise<MinerClient>;
  readonly documents: number;
  /** Marks the processes of this drill: `ADIT_DRILL`. */
  readonly mark: string;
  /** TMPDIR of all of them. */
  readonly temporary: string;
  /** A further packager. */
  addPackager(env?: Record<string, string>): Promise<Supervised>;
  /** A further api-server, on a port of its own. */
  addApiServer(env?: Record<string, string>): Promise<Supervised & { url: string }>;
  /** All that processes of this drill have printed, also those that are gone. */
  logs(): string;
  /** Ends all processes, as an operator would. */
  stop(): Promise<void>;
  close(): Promise<void>;
}

const DOCUMENT_BYTES = 100_000;

export async function openField(ground: Ground, random: Random, options: FieldOptions): Promise<Field> {
  const { broker } = options;
  const mark = randomUUID();
  const temporary = makeRunFolder('temporary');
  const storeLine = await startFaultLine(ground.radosgw.port, options.storeBytesPerSecond);
  const endpoint = throughPort(ground.radosgw.endpoint, storeLine.port).replace(/\/$/, '');
  const service = await makeService(
    {
      name: 'real',
      broker: {
        port: broker.ports[0] ?? 0,
        url: (account) => broker.url(account),
        queue: () => Promise.resolve(undefined),
        stop: () => broker.stop(),
        restart: () => broker.restart(),
      },
      async makeStores() {
        const stores = await makeRealStores(ground.postgresql, ground.radosgw, ground.client);
        return { ...stores, env: { ...stores.env, S3_ENDPOINT: endpoint } };
      },
      close: () => Promise.resolve(),
    },
    { env: { ADIT_DRILL: mark, TMPDIR: temporary.path, ...SHORT_TIMES, ...options.env } },
  );
  const supervised: Supervised[] = [];
  const closing = new AbortController();
  // Each wait of each miner listens to it.
  setMaxListeners(0, closing.signal);
  const supervise = async (start: () => Promise<AditProcess>): Promise<Supervised> => {
    const one = await startSupervised(start);
    supervised.push(one);
    return one;
  };
  const addPackager: Field['addPackager'] = (env = {}) => supervise(() => service.packager(env));
  const apiEnv = await options.apiEnv?.(service.stores.env, broker.url('api-server'));
  const addApiServer: Field['addApiServer'] = async (env = {}) => {
    const port = String(await freePort());
    const url = `http://127.0.0.1:${port}`;
    const one = await supervise(() =>
      service.apiServer({ PORT: port, PUBLIC_URL: url, QUOTA_DUMPS: 'unlimited', ...apiEnv, ...env }),
    );
    return Object.assign(one, { url });
  };
  const stop = async (): Promise<void> => {
    for (const one of supervised) {
      one.thaw();
      if (one.running()) await one.stop();
    }
  };
  const close = async (): Promise<void> => {
    // Whoever still waits for a dump would wait for ever.
    closing.abort();
    await stop();
    await service.close();
    await storeLine.close();
    temporary.remove();
  };
  try {
    const api = await addApiServer();
    await ingest(
      api.url,
      await makeKey(service, 'admin'),
      'texts',
      someDocuments(options.documents, options.documents > 10 ? DOCUMENT_BYTES : 200),
    );
    const minerKey = await makeKey(service);
    const packagers: Supervised[] = [];
    for (let index = 0; index < options.packagers; index++) {
      packagers.push(await addPackager(await options.packagerEnv?.(index, api.url)));
    }
    mkdirSync(service.file('archives'));
    const minerAt: Field['minerAt'] = async (url) => {
      const miner = createMinerClient(url, minerKey, { signal: closing.signal });
      // A client that has never been answered gives up at once, as if the address were wrong.
      await miner.collections();
      return miner;
    };
    const miner = await minerAt(api.url);
    return {
      ground,
      broker,
      service,
      random,
      storeLine,
      url: api.url,
      api,
      packagers,
      minerKey,
      miner,
      minerAt,
      documents: options.documents,
      mark,
      temporary: temporary.path,
      addPackager,
      addApiServer,
      logs: () =>
        filesBelow(service.file('.'))
          .filter((file) => file.endsWith('.log'))
          .map((file) => readFileSync(file, 'utf8'))
          .join('\n'),
      stop,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** So that a drill takes seconds where a service takes minutes. */
const SHORT_TIMES = { DUMP_LEASE: '20s', STALL_TIMEOUT: '60s', REQUEST_TTL: '5m' };

async function startSupervised(start: () => Promise<AditProcess>): Promise<Supervised> {
  let current = await start();
  return {
    get pid() {
      return current.pid;
    },
    running: () => current.running(),
    kill: () => current.kill(),
    async restart() {
      // It may end again where a server that it needs is still away.
      current = await waitUntil('the process is started again', start, { deadlineMs: 120_000, pauseMs: 500 });
    },
    freeze: () => current.freeze(),
    thaw: () => current.thaw(),
    stop: () => current.stop(),
    log: () => current.log(),
  };
}
