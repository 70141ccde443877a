/** A service of one test on a stage: api-servers and packagers in processes of their own, and a miner who uses it. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { pino } from 'pino';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { ensureCollection, sendDocuments, type IngestLine } from '../../cli/ingest/ingest-client.js';
import type { DumpStatus } from '../../cli/miner/miner-client.js';
import { freePorts } from '../servers/free-ports.js';
import { makeRunFolder } from '../servers/run-folder.js';
import { waitUntil } from '../servers/wait-until.js';
import { startAdit, type AditProcess } from './adit-process.js';
import type { Stage, Stores } from './stage.js';

export interface Service {
  stage: Stage;
  stores: Stores;
  /** Starts an api-server; the first one is the miner's. */
  apiServer(env?: Record<string, string>): Promise<AditProcess & { url: string }>;
  packager(env?: Record<string, string>): Promise<AditProcess>;
  /** Path for what a test writes. */
  file(name: string): string;
  close(): Promise<void>;
}

export interface ServiceOptions {
  /** For api-servers and packagers alike. */
  env?: Record<string, string>;
}

export async function makeService(stage: Stage, options: ServiceOptions = {}): Promise<Service> {
  const stores = await stage.makeStores();
  const logs = makeRunFolder('logs');
  const processes: AditProcess[] = [];
  // Tests poll as fast as they can.
  const common = {
    LOG_LEVEL: 'info',
    POLL_INTERVAL: 'off',
    PACKAGER_KEY: randomBytes(16).toString('hex'),
    ...stores.env,
    ...options.env,
  };
  let apiUrl = '';
  const start = async (command: string, env: Record<string, string>): Promise<AditProcess> => {
    const log = join(logs.path, `${command}-${processes.length}.log`);
    const started = await startAdit(command, { ...common, ...env }, log);
    processes.push(started);
    return started;
  };
  return {
    stage,
    stores,
    async apiServer(env = {}) {
      const [port = 0] = await freePorts(1);
      const url = `http://127.0.0.1:${env['PORT'] ?? port}`;
      if (apiUrl === '') apiUrl = url;
      const BROKER_URL = stage.broker.url('api-server');
      const server = await start('api-server', {
        PORT: String(port),
        PUBLIC_URL: url,
        BROKER_URL,
        VALIDATE_RESPONSES: 'true',
        ...env,
      });
      return { ...server, url };
    },
    packager: (env = {}) => start('packager', { API_URL: apiUrl, BROKER_URL: stage.broker.url('packager'), ...env }),
    file: (name) => join(logs.path, name),
    async close() {
      for (const running of processes.filter((candidate) => candidate.running())) {
        running.thaw();
        await running.stop();
      }
      await stores.close();
      logs.remove();
    },
  };
}

/** Works in the service's database, behind everybody's back. */
export async function withDatabase<T>(service: Service, work: (knex: Database['knex']) => Promise<T>): Promise<T> {
  const { DATABASE_URL, DATA_DIR = '' } = service.stores.env;
  const database = await openDatabase({ databaseUrl: DATABASE_URL, dataDir: DATA_DIR }, pino({ level: 'silent' }));
  try {
    return await work(database.knex);
  } finally {
    await database.close();
  }
}

/** A key of a role, made as the operator's command makes it. */
export const makeKey = (service: Service, role: 'miner' | 'admin' = 'miner'): Promise<string> =>
  withDatabase(service, async (knex) => (await createMiner(knex, { name: role, role })).key);

/** Fills a collection. @throws {Error} where a document was refused */
export async function ingest(url: string, adminKey: string, id: string, lines: IngestLine[]): Promise<void> {
  const server = { url, key: adminKey };
  await ensureCollection(server, { id, name: id, licence: 'CC0-1.0' });
  const generator = async function* (): AsyncGenerator<IngestLine> {
    for (const line of lines) yield await Promise.resolve(line);
  };
  const { refused } = await sendDocuments(server, id, generator());
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused)}`);
}

/** Texts that differ, so that no archive is the same by chance; what packs them saves a quarter. */
export function someDocuments(count: number, bytes = 2_000): IngestLine[] {
  return Array.from({ length: count }, (_, index) => ({
    ref: `doc-${String(index).padStart(6, '0')}`,
    metadata: { title: `Document ${index}`, creator: 'Somebody', date: String(1800 + (index % 200)), year: index },
    files: { txt: { text: `Document ${index}. ${randomWord(bytes)}` } },
  }));
}

/** One word: letters and digits, as many as there are bytes. */
function randomWord(bytes: number): string {
  let word = '';
  while (word.length < bytes)
    word += randomBytes(bytes)
      .toString('base64')
      .replace(/[^a-zA-Z0-9]/g, '');
  return word.slice(0, bytes);
}

export interface Answer<T> {
  status: number;
  headers: Headers;
  body: T;
}

/** A miner with a plain HTTP client. */
export interface Miner {
  get<T = DumpStatus>(path: string, headers?: Record<string, string>): Promise<Answer<T>>;
  post<T = DumpStatus>(path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer<T>>;
  delete<T = DumpStatus>(path: string): Promise<Answer<T>>;
  /** Makes a docset of a whole collection. @returns its path */
  docset(collection: string, query?: unknown): Promise<string>;
  /** Polls until a condition holds. */
  pollUntil(
    path: string,
    what: string,
    holds: (status: DumpStatus) => boolean,
    deadlineMs?: number,
  ): Promise<DumpStatus>;
  /** Polls until the dump is over. */
  pollToEnd(path: string, deadlineMs?: number): Promise<DumpStatus>;
}

export function makeMiner(url: string, key: string): Miner {
  const call = async <T>(method: string, path: string, body?: unknown, headers = {}): Promise<Answer<T>> => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        'X-API-Key': key,
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
    });
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: (text === '' ? {} : JSON.parse(text)) as T };
  };
  const miner: Miner = {
    get: (path, headers) => call('GET', path, undefined, headers),
    post: (path, body, headers) => call('POST', path, body, headers),
    delete: (path) => call('DELETE', path),
    async docset(collection, query = { match_all: {} }) {
      const made = await miner.post<{ url: string }>('/api/docsets', { name: 'all', collection, query });
      if (made.status !== 201) throw new Error(`docset: ${made.status} ${JSON.stringify(made.body)}`);
      return `/api${made.body.url}`;
    },
    pollUntil: (path, what, holds, deadlineMs = 60_000) =>
      waitUntil(
        what,
        async () => {
          const { status, body } = await miner.get(path);
          if (status === 429) return undefined;
          if (status !== 200 && status !== 202) throw new Error(`poll: ${status} ${JSON.stringify(body)}`);
          return holds(body) ? body : undefined;
        },
        { deadlineMs, pauseMs: 200 },
      ),
    pollToEnd: (path, deadlineMs) => miner.pollUntil(path, 'the dump is over', ({ done }) => done, deadlineMs),
  };
  return miner;
}
