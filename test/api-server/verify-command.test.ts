/** `adit verify` as an operator runs it, after an api-server was killed between a segment and its rows. */
import { execFile } from 'node:child_process';
import { mkdtemp, open, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { startAdit } from '../acceptance/adit-process.js';
import { describeOn, freePort, startPostgreSQL, waitUntil, type PostgreSQL } from '../servers/index.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const LINES = Array.from({ length: 50 }, (_, n) => `{"ref":"r${n}","files":{"txt":{"text":"text of ${n}"}}}\n`).join(
  '',
);

describeOn('postgresql', 'adit verify', () => {
  let postgresql: PostgreSQL;
  let database: Database;
  let dataDir = '';
  let env: Record<string, string> = {};
  let key = '';
  beforeAll(async () => {
    postgresql = await startPostgreSQL();
    dataDir = await mkdtemp(join(tmpdir(), 'adit-test-'));
    const databaseUrl = await postgresql.createDatabase();
    database = await openDatabase({ databaseUrl, dataDir });
    ({ key } = await createMiner(database.knex, { name: 'Admin', role: 'admin' }));
    await database.knex('collections').insert({ id: 'c', name: 'c', language: 'english', schema: '{}' });
    env = {
      DATABASE_URL: databaseUrl,
      DATA_DIR: dataDir,
      PORT: String(await freePort()),
      BROKER_URL: 'stomp://127.0.0.1:1',
      PACKAGER_KEY: 'the-key-of-the-packagers-in-tests',
    };
  });
  afterAll(async () => {
    await database.close();
    await postgresql.close();
    await rm(dataDir, { recursive: true, force: true });
  });

  const start = () => startAdit('api-server', env, join(dataDir, 'server.log'));
  const ingest = () =>
    fetch(`http://127.0.0.1:${String(env['PORT'])}/api/collections/c/documents`, {
      method: 'POST',
      headers: { 'X-API-Key': key, 'Content-Type': 'application/x-ndjson' },
      body: LINES,
    });
  const verify = (...args: string[]): Promise<{ code: number; output: string }> =>
    new Promise((resolve) => {
      const child = execFile(process.execPath, [MAIN, 'verify', ...args], { env: { ...env } }, (_error, output) =>
        resolve({ code: child.exitCode ?? -1, output }),
      );
    });

  test('an api-server killed between a segment and its rows leaves an orphan, which is named and swept', async () => {
    const { knex } = database;
    const server = await start();
    const locked = await knex.transaction();
    await locked.raw('lock table documents in exclusive mode');
    const broken = ingest().catch(() => 'broken off');
    await waitUntil('the segment is sealed', async () => (await knex('segments').whereNotNull('sealed')).length === 1);
    await server.kill();
    await locked.rollback();
    expect(await broken).toBe('broken off');
    expect(await knex('documents')).toEqual([]);
    expect(await verify()).toEqual({ code: 0, output: expect.stringContaining('0 files corrupt, 0 orphans') });

    const [name = ''] = await readdir(join(dataDir, 'content/segments/c'));
    await utimes(join(dataDir, 'content/segments/c', name), 1, 1);
    await knex('segments').update({ created: new Date(1) });
    expect((await verify()).output).toContain(`orphan: segments/c/${name}\n`);
    const swept = await verify('--sweep');
    expect(swept).toEqual({ code: 0, output: expect.stringContaining(`deleted: segments/c/${name}\n`) });
    expect(await readdir(join(dataDir, 'content/segments/c'))).toEqual([]);
    expect(await knex('segments')).toEqual([]);

    const again = await start();
    expect(await (await ingest()).json()).toMatchObject({ added: 50 });
    await again.stop();
    expect(await verify()).toEqual({ code: 0, output: expect.stringContaining('1 segments, 100 files') });
  });

  test('a flipped bit is named by document and format, and the exit code is 1', async () => {
    const [name = ''] = await readdir(join(dataDir, 'content/segments/c'));
    const file = await open(join(dataDir, 'content/segments/c', name), 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, 0);
    byte[0] = (byte[0] ?? 0) ^ 128;
    await file.write(byte, 0, 1, 0);
    await file.close();
    const { code, output } = await verify();
    expect(code).toBe(1);
    expect(output).toMatch(/^corrupt: document \d+ \(r0\), meta, in segments\/c\/\S+: its stored bytes are not/);
    expect(output).toContain('1 files corrupt');
  });
});
