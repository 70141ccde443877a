/** Keys: made, listed, rotated, revoked, expired; as an operator's commands do it, and as a miner sees it. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { addKey, changeQuota, createMiner, listKeys, rotateKey } from '../../api-server/miners/miners.js';
import { fill, type FreshApiServer } from './fresh-api-server.js';
import { copyMigratedFolder } from './migrated-folder.js';
import { onEachDatabase } from './on-each-database.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

onEachDatabase((start) => {
  let server: FreshApiServer;
  beforeAll(async () => {
    server = await start();
    await fill(server, 'c', [{ ref: 'a', files: { txt: { text: 'apple' } } }]);
  });
  afterAll(() => server.stop());
  const statusWith = async (key: string) => (await server.as(key).get('/api/docsets')).status;

  test('a rotated key and the one in its place open the same docsets, until the old one ends', async () => {
    const { knex } = server.parts;
    const old = await createMiner(knex, { name: 'Ada' });
    await server.as(old.key).post('/api/docsets').send({ query: 'apple' }).expect(201);
    const fresh = await rotateKey(knex, { id: old.keyId, grace: 60_000 });
    for (const key of [old.key, String(fresh?.key)]) {
      expect((await server.as(key).get('/api/docsets').expect(200)).body).toMatchObject({ docsets: [{ id: '1' }] });
    }
    await knex('keys')
      .where('id', old.keyId)
      .update({ expires: new Date(0) });
    const expired = await server.as(old.key).get('/api/docsets').expect(401);
    expect(expired.body).toMatchObject({ type: '/problems/key-expired' });
    expect(expired.headers['www-authenticate']).toBe('Bearer realm="adit"');
    expect(await statusWith(String(fresh?.key))).toBe(200);
    // What has ended is not made good again by a rotation.
    expect(await rotateKey(knex, { id: old.keyId, grace: 60_000 })).toBeUndefined();
  });

  test('a rotation without grace ends the old key at once, and one with grace never lengthens its life', async () => {
    const { knex } = server.parts;
    const expires = new Date(Date.now() + 60_000);
    const old = await createMiner(knex, { name: 'Bob', expires });
    await rotateKey(knex, { id: old.keyId, grace: 86_400_000 });
    expect((await listKeys(knex)).find(({ id }) => id === old.keyId)?.expires).toEqual(expires);
    const next = await createMiner(knex, { name: 'Bob' });
    await rotateKey(knex, { id: next.keyId, grace: 0 });
    const body = (await server.as(next.key).get('/api/docsets').expect(401)).body as object;
    expect(body).toMatchObject({ type: '/problems/key-invalid' });
  });

  test('who knows only the id of an expired key hears nothing of its end', async () => {
    const { key } = await createMiner(server.parts.knex, { name: 'Cy', expires: new Date(0) });
    const guess = `${key.slice(0, 14)}${'0'.repeat(40)}`;
    expect((await server.as(guess).get('/api/docsets').expect(401)).body).toMatchObject({
      type: '/problems/key-invalid',
    });
  });

  test('a packager may have a key of its own, which lists any docset and makes none', async () => {
    const packager = server.as(await server.keyOf('minecart', 'packager'));
    expect((await packager.get('/api/docsets/1').expect(200)).body).toMatchObject({ members: [{ ref: 'a' }] });
    await packager.post('/api/docsets').send({ query: 'apple' }).expect(403);
  });

  test('a further key of a miner shares its docsets and its quota, and there is none for a miner that is not there', async () => {
    const { knex } = server.parts;
    const first = await createMiner(knex, { name: 'Dee', quota: { documentsPerMinute: 2 } });
    const second = await addKey(knex, { miner: first.miner });
    await server.as(first.key).get('/api/documents/1/text').expect(200);
    await server.as(second?.key).get('/api/documents/1/text').expect(200);
    await server.as(first.key).get('/api/documents/1/text').expect(429);
    expect(await changeQuota(knex, String(second?.keyId), { documentsPerMinute: Infinity })).toBe(true);
    await server.as(first.key).get('/api/documents/1/text').expect(200);
    expect(await addKey(knex, { miner: '999' })).toBeUndefined();
    expect(await changeQuota(knex, 'nobody', { dumpsAtOnce: 1 })).toBe(false);
  });
});

describe('adit keys', () => {
  let dataDir = '';
  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'adit-test-'));
    await copyMigratedFolder(dataDir);
  });
  afterAll(() => rm(dataDir, { recursive: true, force: true }));

  const keys = (...args: string[]): Promise<{ code: number; output: string; said: string }> =>
    new Promise((resolve) => {
      const env = { ...process.env, DATABASE_URL: '', DATA_DIR: dataDir };
      const child = execFile(process.execPath, [MAIN, 'keys', ...args], { env }, (_error, output, said) =>
        resolve({ code: child.exitCode ?? -1, output, said }),
      );
    });
  const lines = async () => (await keys('list')).output.trimEnd().split('\n');

  test('are made, listed without their secret, rotated and revoked', async () => {
    const made = await keys('create', '--name', 'Ada', '--quota', '12', '--dumps', 'unlimited', '--expires', '90d');
    expect(made).toMatchObject({ code: 0, output: expect.stringMatching(/^adit_[0-9A-Za-z]{8}_[0-9A-Za-z]{40}\n$/) });
    const id = made.output.slice(5, 13);
    const [listed = ''] = await lines();
    expect(JSON.parse((await keys('list', '--json')).output)).toMatchObject({
      ...{ id, miner: '1', role: 'miner', name: 'Ada', email: null, state: 'valid' },
      quota: { documentsPerMinute: 12, dumpsAtOnce: 'unlimited' },
    });
    expect(listed).toMatch(
      new RegExp(`^${id}\tminer 1\tminer\tAda\t-\t12 a minute, unlimited dumps\t.*\tvalid, until `),
    );
    expect(listed).not.toContain(made.output.slice(14, -1));

    const rotated = await keys('rotate', id, '--grace', '0s');
    const fresh = rotated.output.slice(5, 13);
    expect(rotated).toMatchObject({ code: 0, said: `Key ${id} is revoked.\n` });
    expect(await keys('quota', fresh, '--quota', 'default')).toMatchObject({ code: 0 });
    expect(await lines()).toEqual([
      expect.stringMatching(new RegExp(`^${id}\t.*\trevoked`)),
      expect.stringMatching(new RegExp(`^${fresh}\tminer 1\t.*default a minute.*\tvalid$`)),
    ]);
    expect(await keys('revoke', fresh)).toMatchObject({ code: 0 });
    expect(await keys('revoke', fresh)).toMatchObject({ code: 1, said: expect.stringContaining('No valid key has') });
  });

  test.each([
    [['create'], "'--name <name>' not specified"],
    [['create', '--name', 'A', '--miner', '1'], 'cannot be used with option'],
    [['create', '--name', 'A', '--quota', 'lots'], 'a whole number, unlimited, or default'],
    [['create', '--name', 'A', '--expires', '2001-01-01'], 'It must be in the future'],
    [['create', '--name', 'A', '--expires', '2030-02-31x'], 'It must be a duration'],
    [['create', '--name', 'A', '--role', 'king'], 'Allowed choices are miner, packager, admin'],
    [['create', '--miner', '99'], 'There is no miner 99'],
    [['quota', 'abcdefgh'], "'--quota' or '--dumps' is missing"],
    [['rotate', 'abcdefgh', '--grace', 'long'], 'It must be a duration'],
  ])('%j is refused with what would be right', async (args, message) => {
    expect(await keys(...args)).toMatchObject({ code: 1, output: '', said: expect.stringContaining(message) });
  });
});
