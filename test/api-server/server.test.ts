import { createServer } from 'node:http';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from 'pg';
import { pino } from 'pino';
import { readApiServerConfig } from '../../api-server/config.js';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner, listKeys } from '../../api-server/miners/miners.js';
import { startApiServer } from '../../api-server/server.js';
import { describeOn, startPostgreSQL, waitUntil } from '../servers/index.js';
import { PACKAGER_KEY, startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';
import { copyMigratedFolder } from './migrated-folder.js';

describe('the pages that need no key', () => {
  let server: FreshApiServer;
  beforeAll(async () => {
    server = await startFreshApiServer();
  });
  afterAll(() => server.stop());

  test('describe the API to people and programs, with nothing from elsewhere', async () => {
    const nobody = server.as();
    const json = await nobody.get('/openapi.json').expect(200);
    expect(json.body).toMatchObject({ openapi: '3.1.0' });
    expect((await nobody.get('/openapi.yaml').expect(200)).text).toMatch(/^openapi: 3\.1\.0/);
    const page = await nobody.get('/docs').expect(200);
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.headers['content-security-policy']).not.toContain('upgrade-insecure-requests');
    for (const [, path = ''] of page.text.matchAll(/(?:src|href)="([^"]+)"/g)) {
      expect(path).toMatch(/^\//);
      await nobody.get(path).expect(200);
    }
    const { text } = await nobody.get('/problems').expect(200);
    const links = [...text.matchAll(/href="(\/[^"]+)"/g)].map(([, path = '']) => path);
    expect(links).toContain('/problems/docset-empty');
    for (const path of links)
      await nobody
        .get(path)
        .expect(200)
        .expect('Content-Type', /^text\/html/);
  });

  test('tell whether it is well and what it does, by route and not by path', async () => {
    await server.as(PACKAGER_KEY).get('/api/collections/made-up-name').expect(404);
    expect((await server.as().get('/healthz').expect(200)).body).toEqual({ status: 'ok' });
    const { text } = await server.as().get('/metrics').expect(200);
    expect(text).toContain('route="/collections/:collection",status="404"');
    expect(text).toContain('process_cpu_seconds_total');
    expect(text).not.toContain('made-up-name');
  });

  test('let pages of other hosts in, without credentials', async () => {
    const preflight = await server.as().options('/api/docsets').set('Origin', 'https://elsewhere.example').expect(204);
    expect(preflight.headers['access-control-allow-origin']).toBe('*');
    expect(preflight.headers['access-control-allow-headers']).toContain('X-API-Key');
    expect(preflight.headers['access-control-allow-credentials']).toBeUndefined();
    expect((await server.as().get('/api/docsets')).headers['access-control-allow-origin']).toBe('*');
  });

  test('a request id of the client is kept, unless it is no id', async () => {
    const get = () => server.as().get('/healthz');
    expect((await get().set('X-Request-Id', 'mine-1')).headers['x-request-id']).toBe('mine-1');
    expect((await get().set('X-Request-Id', 'a b<script>')).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  });

  test('an answer that does not fit the API description is a 500 in the log, where that is checked', async () => {
    const key = await server.keyOf('Ada');
    await server.parts.knex('collections').insert({ id: 'BAD ID', name: 'x', language: 'simple', schema: {} });
    const response = await server.as(key).get('/api/collections').expect(500);
    expect(response.body).toMatchObject({ type: '/problems/internal-error' });
    expect(server.logged()).toContain('must match pattern');
  });
});

describe('start and stop', () => {
  let dataDir: string;
  beforeEach(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'adit-test-'));
    await copyMigratedFolder(dataDir);
  });
  afterEach(() => rm(dataDir, { recursive: true, force: true }));
  const configFor = (port: number) =>
    readApiServerConfig({ PORT: String(port), BROKER_URL: 'stomp://127.0.0.1:1', PACKAGER_KEY, DATA_DIR: dataDir });

  test('a port that is taken is told, and the database is closed again', async () => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    const { port } = taken.address() as { port: number };
    await expect(startApiServer(configFor(port), { log: pino({ level: 'silent' }) })).rejects.toThrow(
      'is in use: set PORT to another',
    );
    expect(await readdir(dataDir)).toEqual(['database']);
    await new Promise((resolve) => taken.close(resolve));
  });

  test('keys made while the server runs are good at once, and their secret is nowhere', async () => {
    const server = await startApiServer(configFor(0), { log: pino({ level: 'silent' }) });
    const guest = await openDatabase({ databaseUrl: undefined, dataDir });
    const { key, keyId } = await createMiner(guest.knex, { name: 'Ada', email: 'ada@example.org' });
    expect(key).toMatch(/^adit_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}$/);
    const response = await fetch(`${server.url}/api/docsets`, { headers: { 'X-API-Key': key } });
    expect(response.status).toBe(200);
    const keys = await listKeys(guest.knex);
    expect(keys).toMatchObject([{ name: 'Ada', email: 'ada@example.org', role: 'miner', id: keyId, state: 'valid' }]);
    const stored = JSON.stringify(await guest.knex('keys').join('miners', 'miners.id', 'keys.miner_id'));
    expect(stored).not.toContain(key.slice(14));
    await guest.close();
    await server.stop();
  });
});

describeOn('postgresql', 'several api-servers on one PostgreSQL', () => {
  test('bring an empty database up to date together', async () => {
    const postgresql = await startPostgreSQL();
    try {
      const databaseUrl = await postgresql.createDatabase();
      const open = () => openDatabase({ databaseUrl, dataDir: '/nowhere' });
      const databases = await Promise.all([open(), open(), open(), open()]);
      const names = await databases[0].knex('knex_migrations').orderBy('id').pluck<string[]>('name');
      expect(names[0]).toBe('0001-initial');
      expect(names).toEqual([...new Set(names)].sort());
      await Promise.all(databases.map((database) => database.close()));
    } finally {
      await postgresql.close();
    }
  });

  test('a database that is down is a 503 with Retry-After, and the service is well again when it is back', async () => {
    const postgresql = await startPostgreSQL();
    const server = await startFreshApiServer(await postgresql.createDatabase());
    try {
      const key = await server.keyOf('Ada');
      await server.as(key).get('/api/docsets').expect(200);
      await postgresql.stop();
      const down = await server.as(key).get('/api/docsets').expect(503);
      expect(down.body).toMatchObject({ type: '/problems/database-unavailable' });
      expect(down.headers['retry-after']).toBe('5');
      await server.as().get('/healthz').expect(503);
      await postgresql.restart();
      await server.as(key).get('/api/docsets').expect(200);
    } finally {
      await server.stop();
      await postgresql.close();
    }
  });

  test('a database that dies in the middle of a statement is a 503 as well', async () => {
    const postgresql = await startPostgreSQL();
    const databaseUrl = await postgresql.createDatabase();
    const server = await startFreshApiServer(databaseUrl);
    const other = new Client({ connectionString: databaseUrl });
    other.on('error', () => undefined);
    try {
      const key = await server.keyOf('Ada');
      await other.connect();
      await other.query('BEGIN');
      await other.query('LOCK TABLE docsets');
      const asked = server
        .as(key)
        .get('/api/docsets')
        .then((response) => response);
      await waitUntil('its statement waits', async () => {
        const { rows } = await other.query(
          "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'docsets'::regclass",
        );
        return rows.length > 0;
      });
      await postgresql.kill();
      expect(await asked).toMatchObject({ status: 503, body: { type: '/problems/database-unavailable' } });
    } finally {
      await other.end().catch(() => undefined);
      await server.stop();
      await postgresql.close();
    }
  });
});
