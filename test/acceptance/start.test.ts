/** `adit start`: the embedded service as one leaves it running. */
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { createMinerClient } from '../../cli/miner/miner-client.js';
import { saveArchive } from '../../cli/miner/save-archive.js';
import { processesWith } from '../drills/traces.js';
import { describeOn, freePort, freePorts, makeRunFolder, startPostgreSQL, waitUntil } from '../servers/index.js';
import { launchAdit, startAdit, type AditProcess } from './adit-process.js';
import { makeMiner } from './service.js';

describe('adit start', () => {
  const folder = makeRunFolder('start');
  const running: AditProcess[] = [];
  afterEach(async () => {
    for (const process of running.splice(0)) if (process.running()) await process.stop();
  });
  afterAll(() => folder.remove());

  test('says which port is taken, and ends', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'taken') };
    const start = startAdit('start', env, join(folder.path, 'taken.log'));
    await expect(start).rejects.toThrow(`Port ${port} is in use: set PORT to another.`);
    taken.close();
  });

  test('ends soon and quietly when it is told to while a dump is made', async () => {
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'stopped') };
    const started = await startAdit('start', env, join(folder.path, 'stopped.log'));
    running.push(started);
    const miner = makeMiner(`http://localhost:${port}`, /adit_\w+/.exec(started.log())?.[0] ?? '');
    const docset = await miner.docset('sotu');
    await miner.post(`${docset}/dump?fmt=meta,txt`);
    await miner.pollUntil(`${docset}/dump`, 'it runs', ({ status }) => status !== 'accepted');
    const told = performance.now();
    await started.stop();
    // The launcher kills what has not ended by itself within 15 seconds.
    expect(performance.now() - told).toBeLessThan(14_000);
    expect(started.log()).not.toContain('"level":50');
  });

  /** Starts it, and tells it to stop as soon as it has said this. @returns what it printed, and what of it still runs when it has ended */
  async function stopAt(moment: string, env: Record<string, string>, log: string): Promise<[string, number[]]> {
    const started = launchAdit('start', env, join(folder.path, log));
    running.push(started);
    await waitUntil(moment, () => started.log().includes(moment));
    void started.stop();
    await waitUntil('it has ended', () => !started.running());
    expect(await started.ended).toEqual({ code: 0, signal: null });
    return [started.log(), processesWith('DATA_DIR', env['DATA_DIR'] ?? '')];
  }

  test('ends quietly when it is told to while the broker that it needs is away', async () => {
    const [port = 0, away = 0] = await freePorts(2);
    const env = {
      PORT: String(port),
      DATA_DIR: join(folder.path, 'alone'),
      BROKER_URL: `stomp://adit:secret@127.0.0.1:${away}`,
    };
    const [log, left] = await stopAt('the broker is not there', env, 'alone.log');
    expect(left).toEqual([]);
    const lines = log.trimEnd().split('\n');
    expect(lines.filter((line) => !line.includes('the broker is not there'))).toEqual([]);
  }, 180_000);

  test('told to stop while it ingests the sample, it has the rest of it and a key at the next start', async () => {
    const env = { PORT: String(await freePort()), DATA_DIR: join(folder.path, 'first') };
    const [log, left] = await stopAt('ingesting the sample', env, 'first-stopped.log');
    expect(left).toEqual([]);
    expect(log).not.toMatch(/error|"level":50|in the collection/i);
    const started = await startAdit('start', env, join(folder.path, 'first-again.log'));
    running.push(started);
    expect(started.log()).toMatch(/adit_\w+/);
    const miner = makeMiner(`http://localhost:${env.PORT}`, /adit_\w+/.exec(started.log())?.[0] ?? '');
    const { body } = await miner.get('/api/collections/sotu');
    expect(body).toMatchObject({ documents: 233 });
  }, 180_000);

  test('keeps keys, docsets, dumps and archives over kill -9, and shows its key once', async () => {
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'data') };
    const start = async (log: string): Promise<AditProcess> => {
      const started = await startAdit('start', env, join(folder.path, log));
      running.push(started);
      return started;
    };
    const first = await start('first.log');
    const key = /adit_\w+/.exec(first.log())?.[0] ?? '';
    const url = `http://localhost:${port}`;
    expect(first.log()).toContain(`${url}/docs`);
    const miner = makeMiner(url, key);
    const docset = await miner.docset('sotu', { term: { party: 'Whig' } });
    await miner.post(`${docset}/dump?fmt=txt`);
    const done = await miner.pollToEnd(`${docset}/dump`);
    const other = await miner.docset('sotu');
    // Killed with a dump under way, as a power switch would do it.
    await miner.post(`${other}/dump?fmt=meta,txt`);
    await first.kill();

    const second = await start('second.log');
    expect(second.log()).not.toMatch(/adit_\w+/);
    expect((await miner.get(`${docset}/dump`)).body).toEqual(done);
    const file = join(folder.path, 'whigs.zip');
    const { bag } = await saveArchive(createMinerClient(url, key), done, file);
    expect(bag?.payload).toEqual({ txt: done.counts.requested });
    const interrupted = await miner.pollToEnd(`${other}/dump`);
    expect(interrupted).toMatchObject({ status: 'successful', counts: { requested: 233, packed: 233 } });

    await second.stop();
    expect(second.log()).not.toMatch(/error/i);
  }, 120_000);
});

describe('two api-servers on one folder', () => {
  const folder = makeRunFolder('guest');
  afterAll(() => folder.remove());

  test('the second one has the database again when the first, which had it open, is killed', async () => {
    const [port = 0, second = 0] = await freePorts(2);
    const env = {
      DATA_DIR: join(folder.path, 'data'),
      BROKER_URL: 'stomp://127.0.0.1:1',
      PACKAGER_KEY: 'p'.repeat(40),
    };
    const owner = await startAdit('api-server', { ...env, PORT: String(port) }, join(folder.path, 'owner.log'));
    const guest = await startAdit('api-server', { ...env, PORT: String(second) }, join(folder.path, 'guest.log'));
    try {
      const health = async () => (await fetch(`http://localhost:${second}/healthz`)).status;
      expect(await health()).toBe(200);
      await owner.kill();
      await waitUntil('it is well', async () => (await health()) === 200);
      await guest.stop();
      expect(await readdir(env.DATA_DIR)).not.toContain('database.lock');
    } finally {
      for (const process of [owner, guest]) if (process.running()) await process.kill();
    }
  }, 180_000);
});

describeOn('postgresql', 'adit start on a PostgreSQL', () => {
  const folder = makeRunFolder('start');
  afterAll(() => folder.remove());

  test('a stop ends the statement that runs, and that before the launcher kills', async () => {
    const postgresql = await startPostgreSQL();
    const databaseUrl = await postgresql.createDatabase();
    const other = new Client({ connectionString: databaseUrl });
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'data'), DATABASE_URL: databaseUrl };
    const started = await startAdit('start', env, join(folder.path, 'start.log'));
    try {
      const database = await openDatabase({ databaseUrl, dataDir: '/nowhere' });
      const { key } = await createMiner(database.knex, { name: 'Admin', role: 'admin' });
      await database.close();
      const post = (path: string) =>
        fetch(`http://localhost:${port}/api/collections/sotu/ingests${path}`, {
          method: 'POST',
          headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
          ...(path === '' ? {} : { body: JSON.stringify({ withdraw: true }) }),
        });
      const { id } = (await (await post('')).json()) as { id: string };
      await other.connect();
      await other.query('BEGIN');
      // Half an hour is what the end of a run may take.
      await other.query('LOCK TABLE ingest_refs');
      const finish = post(`/${id}/finish`).catch((error: unknown) => error);
      const waiting = () =>
        other.query("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'ingest_refs'::regclass");
      await waitUntil('its statement waits', async () => (await waiting()).rowCount === 1);
      await started.stop();
      // Of a client that was killed, PostgreSQL would not know before the lock is free.
      expect(await waiting()).toMatchObject({ rowCount: 0 });
      expect(await finish).toMatchObject({ message: 'fetch failed' });
    } finally {
      if (started.running()) await started.kill();
      await other.end();
      await postgresql.close();
    }
  }, 180_000);
});
