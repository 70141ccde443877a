/** A whole api-server for a test, on a database of its own: embedded, or on the PostgreSQL whose URL is given. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino, type Logger } from 'pino';
import supertest from 'supertest';
import { readApiServerConfig } from '../../api-server/config.js';
import type { Role } from '../../api-server/miners/caller.js';
import { createMiner } from '../../api-server/miners/miners.js';
import type { DumpHooks } from '../../api-server/parts.js';
import { startApiServer, type RunningApiServer } from '../../api-server/server.js';
import { copyMigratedFolder } from './migrated-folder.js';

export const PACKAGER_KEY = 'the-key-of-the-packagers-in-tests';

export interface FreshApiServer extends RunningApiServer {
  keyOf(name: string, role?: Role): Promise<string>;
  /** Requests with this key; without one, anonymous. */
  as(key?: string): Client;
  /** Everything that was logged, as text. */
  logged(): string;
}

type Method = 'get' | 'head' | 'post' | 'put' | 'patch' | 'delete' | 'options';
export type Client = Record<Method, (path: string) => supertest.Test>;

export async function startFreshApiServer(
  databaseUrl?: string,
  env: Record<string, string> = {},
): Promise<FreshApiServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'adit-test-'));
  if (databaseUrl === undefined) await copyMigratedFolder(dataDir);
  const config = readApiServerConfig({
    PORT: '0',
    DATABASE_URL: databaseUrl,
    BROKER_URL: 'stomp://127.0.0.1:1',
    PACKAGER_KEY,
    DATA_DIR: dataDir,
    VALIDATE_RESPONSES: 'true',
    ...env,
  });
  const lines: string[] = [];
  const log: Logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const server = await startApiServer(config, { log });
  return {
    ...server,
    keyOf: async (name, role = 'miner') => (await createMiner(server.parts.knex, { name, role })).key,
    as: (key) => clientFor(server.url, key),
    logged: () => lines.join(''),
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** For tests that decide what is wanted. */
export function withHooks(server: FreshApiServer, hooks: Partial<DumpHooks>): void {
  server.parts.dumps = { ...server.parts.dumps, ...hooks };
}

export const ndjson = (documents: object[]): string =>
  documents.map((document) => `${JSON.stringify(document)}\n`).join('');

/** Makes a collection and fills it. */
export async function fill(server: FreshApiServer, id: string, documents: object[], facts: object = {}): Promise<void> {
  const admin = server.as(await server.keyOf('Admin', 'admin'));
  await admin
    .post('/api/collections')
    .send({ id, name: id, licence: 'CC0-1.0', ...facts })
    .expect(201);
  await admin
    .post(`/api/collections/${id}/documents`)
    .set('Content-Type', 'application/x-ndjson')
    .send(ndjson(documents))
    .expect(200);
}

function clientFor(url: string, key?: string): Client {
  const send = (method: Method) => (path: string) => {
    const request = supertest(url)[method](path);
    return key === undefined ? request : request.set('X-API-Key', key);
  };
  return {
    get: send('get'),
    head: send('head'),
    post: send('post'),
    put: send('put'),
    patch: send('patch'),
    delete: send('delete'),
    options: send('options'),
  };
}
