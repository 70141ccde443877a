import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { openDatabase } from '../../api-server/db/open-database.js';
import { waitUntil } from '../servers/index.js';
import { copyMigratedFolder } from './migrated-folder.js';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'adit-test-'));
  await copyMigratedFolder(dataDir);
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

const open = () => openDatabase({ databaseUrl: undefined, dataDir });

test('what was written is there after a restart, and closing leaves neither lock nor socket behind', async () => {
  const first = await open();
  await first.knex('miners').insert({ name: 'Ada', role: 'miner' });
  const { socket } = JSON.parse(await readFile(join(dataDir, 'database.lock'), 'utf8')) as { socket: string };
  expect(existsSync(socket)).toBe(true);
  await first.close();
  expect(await readdir(dataDir)).toEqual(['database']);
  expect(existsSync(dirname(socket))).toBe(false);

  const second = await open();
  expect(await second.knex('miners').select('name')).toEqual([{ name: 'Ada' }]);
  await second.close();
});

test('a second opener becomes the guest of the first, and neither disturbs the statements of the other', async () => {
  const owner = await open();
  const guest = await open();
  const count = 200;
  const run = async (db: typeof owner, name: string) => {
    for (let index = 0; index < count; index += 1) {
      const { rows } = await db.knex.raw<{ rows: { value: string }[] }>('select ?::text as value', [`${name}${index}`]);
      expect(rows).toEqual([{ value: `${name}${index}` }]);
      if (index % 20 === 0) {
        await db.knex.transaction(async (trx) => {
          await trx('collections').insert({ id: `${name}-${index}`, name, language: 'simple', schema: {} });
          await expect(trx.transaction((inner) => inner.raw('select 1/0'))).rejects.toThrow('division by zero');
        });
      }
    }
  };
  await Promise.all([run(owner, 'owner'), run(guest, 'guest')]);
  expect(await owner.knex('collections').count({ count: '*' })).toEqual([{ count: '20' }]);
  await guest.close();
  await owner.close();
});

test('guests outlive the process that had the files open: one of them opens these, and is the host of the other', async () => {
  const owner = await open();
  const guests = [await open(), await open()];
  const insert = (name: string) => (db: typeof owner) => db.knex('miners').insert({ name, role: 'miner' });
  await Promise.all(guests.map(insert('before')));
  await owner.close();
  for (const guest of guests) {
    await waitUntil('it has the database again', () => insert('after')(guest).then(() => true));
    expect(await guest.knex('miners').pluck('name')).toEqual(expect.arrayContaining(['before', 'after']));
  }
  expect(await guests[0]?.knex('miners').count({ count: '*' })).toEqual([{ count: '4' }]);
  for (const guest of guests.reverse()) await guest.close();
  expect(await readdir(dataDir)).toEqual(['database']);
}, 180_000);

test('a client that goes away in the middle of a transaction wanted none of it', async () => {
  const owner = await open();
  const lock = JSON.parse(await readFile(join(dataDir, 'database.lock'), 'utf8')) as { socket: string };
  const client = new pg.Client({ host: dirname(lock.socket), user: 'postgres', database: 'postgres' });
  await client.connect();
  await client.query('begin');
  await client.query(`insert into collections (id, name, language, schema) values ('half', 'half', 'simple', '{}')`);
  const waiting = owner.knex('collections').select('id');
  await client.end();
  expect(await waiting).toEqual([]);
  await owner.close();
});

test('closing does not wait for a statement that runs on, and what was written before is there', async () => {
  const first = await open();
  await first.knex('miners').insert({ name: 'Ada', role: 'miner' });
  const asked = once(first.knex, 'query');
  const endless = first.knex.raw('select count(*) from generate_series(1, 1e15)').catch((error: unknown) => error);
  await asked;
  await first.close();
  expect(await endless).toMatchObject({ message: expect.stringContaining('Connection terminated') });

  const second = await open();
  expect(await second.knex('miners').select('name')).toEqual([{ name: 'Ada' }]);
  await second.close();
}, 60_000);

test('the lock of a process that was killed is taken over', async () => {
  await writeFile(
    join(dataDir, 'database.lock'),
    JSON.stringify({ pid: 1, socket: join(tmpdir(), 'adit-db-gone00', '.s.PGSQL.5432') }),
  );
  const database = await open();
  expect(await database.knex('collections').select('id')).toEqual([]);
  await database.close();
});

test('two that open an empty folder at once end up on one database', async () => {
  await rm(join(dataDir, 'database'), { recursive: true });
  const [one, two] = await Promise.all([open(), open()]);
  await one.knex('collections').insert({ id: 'a', name: 'a', language: 'simple', schema: {} });
  expect(await two.knex('collections').select('id')).toEqual([{ id: 'a' }]);
  await Promise.all([one.close(), two.close()]);
});
