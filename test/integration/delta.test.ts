/** Dumps relative to earlier ones, from an ingest to the archive: a real api-server, broker and packager. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { readPackagerConfig, startPackager, type Packager } from '../../packager/index.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import {
  PACKAGER_KEY,
  fill,
  ndjson,
  startFreshApiServer,
  type Client,
  type FreshApiServer,
} from '../api-server/fresh-api-server.js';
import { readBag, textOf, type ReadBag } from '../packager/read-bag.js';
import { waitUntil } from '../servers/wait-until.js';

interface Status {
  id: string;
  done: boolean;
  status: string;
  since: string | null;
  counts: Record<string, number>;
  error: { type: string; detail: string } | null;
  archive: { href: string; size: number } | null;
  links: { rel: string; href: string }[];
}

interface Estimate {
  documents: number;
  bytes: { content: number; archive: number };
  by_format: { format: string; files: number; missing: number; bytes: { content: number; stored: number } }[];
  seconds: number | null;
  pace: { dumps: number } | null;
}

let folder: string;
let broker: EmbeddedBroker;
let server: FreshApiServer;
let packager: Packager;
let miner: Client;
let other: Client;
let admin: Client;

const startOne = (): Packager =>
  startPackager(
    readPackagerConfig({
      BROKER_URL: broker.url,
      API_URL: server.url,
      PACKAGER_KEY,
      DATA_DIR: server.parts.config.dataDir,
    }),
    { log: pino({ level: 'silent' }) },
  );

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-delta-'));
  broker = await startEmbeddedBroker({ folder, port: 0 });
  server = await startFreshApiServer(undefined, { BROKER_URL: broker.url, POLL_INTERVAL: 'off' });
  packager = startOne();
  miner = server.as(await server.keyOf('Ada'));
  other = server.as(await server.keyOf('Bob'));
  admin = server.as(await server.keyOf('Root', 'admin'));
  await fill(
    server,
    'c',
    ['a', 'b', 'c', 'd'].map((ref) => documentOf(ref, `first ${ref}`)),
  );
  await fill(server, 'other', [documentOf('a', 'elsewhere')]);
});
afterAll(async () => {
  await packager.stop();
  await server.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const documentOf = (ref: string, text: string): object => ({
  ref,
  metadata: { title: `Title of ${ref}` },
  files: { txt: { text } },
});

const ingest = (documents: object[]) =>
  admin
    .post('/api/collections/c/documents')
    .set('Content-Type', 'application/x-ndjson')
    .send(ndjson(documents))
    .expect(200);

async function make(body: object, client = miner): Promise<string> {
  const response = await client.post('/api/docsets').send({ collection: 'c', ...body });
  expect(response.status).toBe(201);
  return (response.body as { id: string }).id;
}

async function ask(docset: string, query: string): Promise<Status> {
  const response = await miner.post(`/api/docsets/${docset}/dump?${query}`);
  expect([200, 202]).toContain(response.status);
  return response.body as Status;
}

async function dump(docset: string, query: string): Promise<Status> {
  const asked = await ask(docset, query);
  const self = asked.links.find(({ rel }) => rel === 'self')?.href ?? '';
  return waitUntil('the dump is over', async () => {
    const status = (await miner.get(self)).body as Status;
    return status.done && status;
  });
}

async function download({ archive }: Status): Promise<Buffer> {
  const link = (await miner.get(archive?.href ?? '').expect(303)).headers['location'] ?? '';
  return Buffer.from(await (await fetch(link)).arrayBuffer());
}

const payloadOf = (bag: ReadBag): Record<string, string> =>
  Object.fromEntries(
    [...bag.files].filter(([path]) => /^data\/.*txt$/.test(path)).map(([path, content]) => [path, content.toString()]),
  );

test('a dump of the same query made anew has only what is new, and lists what was withdrawn', async () => {
  const first = await make({ query: { match_all: {} } });
  const whole = await dump(first, 'fmt=meta,txt');
  expect(whole).toMatchObject({ since: null, counts: { requested: 4, packed: 4, omitted: 0 } });
  await ingest([documentOf('b', 'second b'), documentOf('e', 'first e')]);
  await make({ members: ['a', 'b', 'e'], name: 'without c and d' });
  const all = await make({ query: { match_all: {} } });
  const second = await make({ minus: [all, await make({ members: ['c', 'd'] })] });

  const delta = await dump(second, `fmt=txt&since=${whole.id}`);
  expect(delta).toMatchObject({
    status: 'successful',
    since: whole.id,
    counts: { requested: 2, packed: 2, omitted: 0, added: 1, changed: 1, withdrawn: 2 },
  });
  const zip = await download(delta);
  const bag = await readBag(zip);
  expect(payloadOf(bag)).toEqual({ 'data/b.txt': 'second b', 'data/e.txt': 'first e' });
  const lines = textOf(bag, 'withdrawn.csv').trimEnd().split('\n');
  expect(lines.map((line) => line.split(',')[0])).toEqual(['ref', 'c', 'd']);
  expect(textOf(bag, 'bag-info.txt')).toContain(`Since-Dump: ${whole.id}\nSince-Docset: ${first}\n`);

  const again = await ask(second, `fmt=txt&since=${whole.id}`);
  expect(again.id).toBe(delta.id);
  const forced = await dump(second, `fmt=txt&since=${whole.id}&force=true`);
  expect(forced.id).not.toBe(delta.id);
  expect((await download(forced)).equals(zip)).toBe(true);
});

test('a dump and its delta are two dumps, and each URL tells of its own', async () => {
  const docset = await make({ query: { match_all: {} } });
  const whole = await dump(docset, 'fmt=txt');
  const delta = await dump(docset, `fmt=txt&since=${whole.id}`);
  expect(delta).toMatchObject({ counts: { requested: 0, packed: 0, omitted: 0, added: 0, changed: 0, withdrawn: 0 } });
  expect(payloadOf(await readBag(await download(delta)))).toEqual({});
  expect((await miner.get(`/api/docsets/${docset}/dump?fmt=txt`)).body).toMatchObject({
    id: whole.id,
    status: 'successful',
  });
  expect((await miner.get(`/api/docsets/${docset}/dump?fmt=txt&since=${whole.id}`)).body).toMatchObject({
    id: delta.id,
  });
  expect((await miner.get(`/api/docsets/${docset}/dump`)).body).toMatchObject({ id: delta.id });
  expect((await miner.get(`/api/docsets/${docset}/dump?fmt=txt&since=${delta.id}`).expect(404)).body).toMatchObject({
    type: '/problems/dump-not-requested',
    request: { href: `/api/docsets/${docset}/dump?fmt=txt&since=${delta.id}` },
  });
  // A delta of a delta is relative to the docset of that.
  expect(await dump(docset, `fmt=txt&since=${delta.id}`)).toMatchObject({ status: 'successful', since: delta.id });
});

test('what cannot be told is refused, and nothing is asked for', async () => {
  const docset = await make({ query: { match_all: {} } });
  const whole = await dump(docset, 'fmt=txt');
  const strange = await make({ collection: 'other', members: ['a'] });
  const theirs = await make({ members: ['a'] }, other);
  const theirDump = (await other.post(`/api/docsets/${theirs}/dump`)).body as Status;
  const cancelled = await make({ members: ['a'] });
  const { id } = await ask(cancelled, 'fmt=meta');
  await miner.delete(`/api/docsets/${cancelled}/dump?fmt=meta`);
  const isOver = (await server.parts.knex('dumps').where({ id }).first<{ status: string }>('status')).status;
  const refusals: [string, string, number, string][] = [
    [docset, 'fmt=txt&since=nothing', 404, 'since-not-found'],
    [docset, `fmt=txt&since=${theirDump.id}`, 403, 'not-your-docset'],
    [docset, `fmt=meta,txt&since=${whole.id}`, 422, 'since-not-comparable'],
    [strange, `fmt=txt&since=${whole.id}`, 422, 'since-not-comparable'],
    ...(isOver === 'dismissed' ? [[docset, `fmt=meta&since=${id}`, 422, 'since-not-comparable'] as never] : []),
  ];
  const before = (await server.parts.knex('dumps')).length;
  for (const [of, query, status, problem] of refusals) {
    const response = await miner.post(`/api/docsets/${of}/dump?${query}`);
    expect(response).toMatchObject({ status, body: { type: `/problems/${problem}` } });
  }
  expect(await server.parts.knex('dumps')).toHaveLength(before);
});

test('a deleted docset takes with it what is being made relative to it, and says so', async () => {
  const first = await make({ members: ['a'] });
  const whole = await dump(first, 'fmt=txt');
  const second = await make({ members: ['a', 'b'] });
  const finished = await dump(second, `fmt=txt&since=${whole.id}`);
  await packager.stop();
  const waiting = await ask(second, `fmt=txt&archive=tar.gz&since=${whole.id}`);
  await miner.delete(`/api/docsets/${first}`).expect(200);
  const polled = await miner.get(`/api/docsets/${second}/dump?fmt=txt&archive=tar.gz&since=${whole.id}`).expect(200);
  expect(polled.body).toMatchObject({ id: waiting.id, status: 'failed', error: { type: '/problems/since-gone' } });
  // The archive that is there already is as good as ever.
  await download(finished);
  const refused = await miner.post(`/api/docsets/${second}/dump?fmt=txt&force=true&since=${whole.id}`).expect(410);
  expect(refused.body).toMatchObject({ type: '/problems/since-gone' });
  packager = startOne();
});

test('an estimate says what the archive will be, and how it knows', async () => {
  // No two texts have anything in common: a tar is deflated as a whole, and would be smaller.
  const texts = Array.from({ length: 60 }, (_, index) =>
    documentOf(`estimated-${index}`, randomBytes(100 * index).toString('hex')),
  );
  await ingest(texts);
  const docset = await make({ query: { prefix: { ref: 'estimated-' } } });
  for (const kind of ['fmt=meta,txt,pdf', 'fmt=txt&archive=tar.gz']) {
    const path = `/api/docsets/${docset}/dump/estimate?${kind}`;
    const before = (await miner.get(path).expect(200)).body as Estimate;
    expect(before.documents).toBe(60);
    const made = await dump(docset, kind);
    const bag = kind.includes('tar.gz') ? undefined : await readBag(await download(made));
    // Within a tenth of what it is.
    const size = made.archive?.size ?? 0;
    expect(Math.abs(before.bytes.archive - size) / size).toBeLessThan(0.1);
    const after = (await miner.get(path).expect(200)).body as Estimate;
    expect(after.pace?.dumps).toBe((before.pace?.dumps ?? 0) + 1);
    expect(after.seconds).toBeGreaterThanOrEqual(1);
    if (bag === undefined) continue;
    const txt = before.by_format.find(({ format }) => format === 'txt');
    const total = Object.values(payloadOf(bag)).reduce((sum, text) => sum + text.length, 0);
    expect(txt).toMatchObject({ files: 60, missing: 0, bytes: { content: total } });
    expect(before.by_format.find(({ format }) => format === 'pdf')).toMatchObject({ files: 0, missing: 60 });
  }
  const first = await make({ query: { terms: { ref: ['estimated-1', 'a'] } } });
  const whole = await dump(first, 'fmt=txt');
  const delta = await miner.get(`/api/docsets/${docset}/dump/estimate?fmt=txt&since=${whole.id}`).expect(200);
  expect(delta.body).toMatchObject({ documents: 59, since: whole.id });
  await other.get(`/api/docsets/${docset}/dump/estimate`).expect(403);
});

test('the listing of a delta is told to packagers and to the owner alone', async () => {
  const first = await make({ members: ['a', 'b'] });
  const whole = await dump(first, 'fmt=txt');
  const second = await make({ members: ['b', 'c'] });
  const path = `/api/docsets/${second}?fmt=txt&since=${whole.id}`;
  const since = { dump: whole.id, docset: first, added: 1, changed: 0, withdrawn: 1 };
  const asPackager = server.as(PACKAGER_KEY);
  for (const client of [asPackager, miner]) {
    const { text } = await client.get(path).set('Accept', 'application/x-ndjson').expect(200);
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines[0]).toMatchObject({ docset: { members: 1, since } });
    expect(lines.flatMap(({ ref }) => ref ?? [])).toEqual(['c']);
    expect(lines.at(-2)).toMatchObject({ withdrawn: { ref: 'a', title: 'Title of a' } });
    expect(lines.at(-1)).toEqual({ end: true, members: 1, withdrawn: 1 });
  }
  expect((await asPackager.get(path).expect(200)).body).toMatchObject({ members: [{ ref: 'c' }], since });
  expect((await miner.get(path).expect(200)).body).toMatchObject({ documents: 2, since });
  const theirs = await make({ members: ['a'] }, other);
  await other.get(`/api/docsets/${theirs}?since=${whole.id}`).expect(403);
});
