/** Quotas: documents a minute, dumps at a time, and how often one may poll. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMiner, type Quota } from '../../api-server/miners/miners.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { eventMessage, eventsOf, openBroker } from '../../queue-config/index.js';
import { startAdit, type AditProcess } from '../acceptance/adit-process.js';
import { describeOn, freePort, startPostgreSQL, type PostgreSQL } from '../servers/index.js';
import { PACKAGER_KEY, fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

let folder: string;
let broker: EmbeddedBroker;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
  broker = await startEmbeddedBroker({ folder: join(folder, 'broker'), port: 0 });
});
afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const DOCUMENTS = ['a', 'b', 'c'].map((ref) => ({ ref, files: { txt: { text: `text of ${ref}` } } }));

const statuses = (answers: { status: number }[]): Record<number, number> => {
  const counts: Record<number, number> = {};
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1;
  return counts;
};

onEachDatabase((start) => {
  let server: FreshApiServer;
  beforeAll(async () => {
    server = await start({ BROKER_URL: broker.url });
    await fill(server, 'c', DOCUMENTS);
  });
  afterAll(() => server.stop());
  const minerWith = async (quota: Partial<Quota>): Promise<Client> =>
    server.as((await createMiner(server.parts.knex, { name: 'Ada', quota })).key);
  const docsetOf = async (client: Client): Promise<string> => {
    const made = await client.post('/api/docsets').send({ query: { match_all: {} } });
    return `/api${(made.body as { url: string }).url}`;
  };

  describe('documents a minute', () => {
    test('are counted, told in the old words and the new, and the one that is too many is 429', async () => {
      const miner = await minerWith({ documentsPerMinute: 2 });
      const before = Math.floor(Date.now() / 1_000);
      const first = await miner.get('/api/documents/1/text').expect(200);
      expect(first.headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '1',
        'ratelimit-policy': '"documents";q=2;w=60;qu="documents"',
        ratelimit: '"documents";r=1;t=60',
      });
      const reset = Number(first.headers['x-ratelimit-reset']);
      expect(reset).toBeGreaterThanOrEqual(before + 60);
      await miner.get('/api/documents/2/files/txt').expect(200);
      const refused = await miner.get('/api/documents/3/text').expect(429);
      expect(refused.body).toMatchObject({ type: '/problems/quota-exceeded', quota: 'documents', limit: 2 });
      expect(refused.headers).toMatchObject({
        'x-ratelimit-limit': '2',
        'x-ratelimit-remaining': '0',
        'x-ratelimit-reset': String(reset),
      });
      const wait = Number(refused.headers['retry-after']);
      expect(wait).toBeGreaterThan(0);
      expect(wait).toBeLessThanOrEqual(60);
      expect(refused.headers['ratelimit']).toBe(`"documents";r=0;t=${wait}`);
    });

    test('begin anew when the minute is over', async () => {
      const miner = await minerWith({ documentsPerMinute: 1 });
      await miner.get('/api/documents/1/text').expect(200);
      await miner.get('/api/documents/1/text').expect(429);
      await server.parts.knex('document_windows').update({ began: new Date(Date.now() - 60_000) });
      expect((await miner.get('/api/documents/1/text').expect(200)).headers['x-ratelimit-remaining']).toBe('0');
    });

    test('are not used up by what delivers none', async () => {
      const miner = await minerWith({ documentsPerMinute: 1 });
      await miner.get('/api/documents/1').expect(200);
      await miner.head('/api/documents/1/text').expect(200);
      await miner.get('/api/documents/999/text').expect(404);
      await miner.get('/api/documents/1/text').set('Accept', 'image/png').expect(406);
      const etag = String((await miner.get('/api/documents/1/text').expect(200)).headers['etag']);
      await miner.get('/api/documents/1/text').set('If-None-Match', etag).expect(304);
      await miner.get('/api/documents/1/text').expect(429);
    });

    test('of 50 at once are as many as the quota, and a packager has none', async () => {
      const miner = await minerWith({ documentsPerMinute: 7 });
      const read = (client: Client) =>
        Promise.all(Array.from({ length: 50 }, () => client.get('/api/documents/1/files/txt')));
      expect(statuses(await read(miner))).toEqual({ 200: 7, 429: 43 });
      expect(statuses(await read(server.as(PACKAGER_KEY)))).toEqual({ 200: 50 });
    });

    test('may be none at all', async () => {
      const miner = await minerWith({ documentsPerMinute: 0 });
      expect((await miner.get('/api/documents/1/text').expect(429)).headers['retry-after']).toBe('1');
    });
  });

  describe('dumps at a time', () => {
    test('are as many as the quota; asking for the same one again takes no other place, cancelling gives one back', async () => {
      const miner = await minerWith({ dumpsAtOnce: 2 });
      const docset = await docsetOf(miner);
      await miner.post(`${docset}/dump?fmt=txt`).expect(202);
      await miner.post(`${docset}/dump?fmt=meta`).expect(202);
      const refused = await miner.post(`${docset}/dump?fmt=meta,txt`).expect(429);
      expect(refused.body).toMatchObject({
        type: '/problems/quota-exceeded',
        quota: 'dumps',
        limit: 2,
        dumps: [`${docset}/dump?fmt=txt`, `${docset}/dump?fmt=meta`],
      });
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
      expect(refused.headers).toMatchObject({ 'ratelimit-policy': '"dumps";q=2;qu="dumps"' });
      await miner.post(`${docset}/dump?fmt=txt`).expect(202);
      await miner.delete(`${docset}/dump?fmt=txt`).expect(200);
      await miner.post(`${docset}/dump?fmt=meta,txt`).expect(202);
    });

    test('do not count one that is over, though nobody has polled it', async () => {
      const miner = await minerWith({ dumpsAtOnce: 1 });
      const docset = await docsetOf(miner);
      const { id } = (await miner.post(`${docset}/dump?fmt=txt`).expect(202)).body as { id: string };
      const packagers = openBroker({ urls: broker.url });
      const failed = { type: 'Failed', detail: 'no space left', code: 'storage-unavailable' } as const;
      const queue = eventsOf(docset.split('/').at(-1) ?? '');
      await packagers.publish(eventMessage(queue, { ...failed, dump: id, attempt: 1, run: 1_000, sequence: 1 }));
      await packagers.close();
      await miner.post(`${docset}/dump?fmt=meta`).expect(202);
    });

    test('of 50 at once are as many as the quota', async () => {
      const miner = await minerWith({ dumpsAtOnce: 3 });
      const docsets = await Promise.all(Array.from({ length: 50 }, () => docsetOf(miner)));
      const answers = await Promise.all(docsets.map((docset) => miner.post(`${docset}/dump`)));
      expect(statuses(answers)).toEqual({ 202: 3, 429: 47 });
    });
  });

  test('cost a poll and a kick-off no statement more', async () => {
    const { knex } = server.parts;
    const costs = async (quota: Quota) => {
      const miner = await minerWith(quota);
      const docset = await docsetOf(miner);
      const statements: string[] = [];
      const note = ({ sql }: { sql: string }) => statements.push(sql);
      knex.on('query', note);
      await miner.post(`${docset}/dump`).expect(202);
      const kickOff = statements.length;
      await miner.get(`${docset}/dump`).expect(202);
      knex.off('query', note);
      return { kickOff, poll: statements.length - kickOff };
    };
    const unlimited = await costs({ documentsPerMinute: Infinity, dumpsAtOnce: Infinity });
    expect(await costs({ documentsPerMinute: 5, dumpsAtOnce: 5 })).toEqual(unlimited);
  });

  describe('a dump that is being made', () => {
    test('is polled once a second with one key, as often with another, and as often as one likes once it is over', async () => {
      const miner = await minerWith({});
      const docset = await docsetOf(miner);
      const polls = async () =>
        statuses(await Promise.all([1, 2, 3, 4].map(() => miner.get(`${docset}/dump?fmt=txt`))));
      await miner.post(`${docset}/dump?fmt=txt`).expect(202);
      expect(await polls()).toEqual({ 202: 1, 429: 3 });
      const soon = await miner.get(`${docset}/dump`).expect(429);
      expect(soon.body).toMatchObject({ type: '/problems/polled-too-soon' });
      expect(soon.headers['retry-after']).toBe('1');
      await miner.post(`${docset}/dump?fmt=meta`).expect(202);
      await miner.get(`${docset}/dump?fmt=meta`).expect(202);
      await miner.delete(`${docset}/dump?fmt=txt`).expect(200);
      expect(await polls()).toEqual({ 200: 4 });
    });
  });
});

test('the pause between polls can be taken away', async () => {
  const server = await startFreshApiServer(undefined, { BROKER_URL: broker.url, POLL_INTERVAL: 'off' });
  try {
    await fill(server, 'c', DOCUMENTS);
    const miner = server.as(await server.keyOf('Ada'));
    await miner.post('/api/docsets').send({ query: { match_all: {} } });
    await miner.post('/api/docsets/1/dump').expect(202);
    for (let poll = 0; poll < 5; poll++) await miner.get('/api/docsets/1/dump').expect(202);
  } finally {
    await server.stop();
  }
});

describeOn('postgresql', 'two api-servers in processes of their own, on one database', () => {
  let postgresql: PostgreSQL;
  let first: FreshApiServer;
  let second: AditProcess;
  let urls: string[];
  beforeAll(async () => {
    postgresql = await startPostgreSQL();
    const databaseUrl = await postgresql.createDatabase();
    first = await startFreshApiServer(databaseUrl, { BROKER_URL: broker.url });
    await fill(first, 'c', DOCUMENTS);
    const port = await freePort();
    const env = {
      DATABASE_URL: databaseUrl,
      DATA_DIR: first.parts.config.dataDir,
      PORT: String(port),
      BROKER_URL: broker.url,
      PACKAGER_KEY,
    };
    second = await startAdit('api-server', env, join(folder, 'second.log'));
    urls = [first.url, `http://127.0.0.1:${port}`];
  });
  afterAll(async () => {
    await second.stop();
    await first.stop();
    await postgresql.close();
  });
  const ask = (key: string, paths: string[], method = 'GET') =>
    Promise.all(
      paths.map(async (path, index) => {
        const answer = await fetch(`${String(urls[index % 2])}${path}`, { method, headers: { 'X-API-Key': key } });
        await answer.arrayBuffer();
        return answer;
      }),
    );

  test('never deliver one document more than the quota, whoever is asked', async () => {
    for (const documentsPerMinute of [1, 10, 49]) {
      const { key } = await createMiner(first.parts.knex, { name: 'Ada', quota: { documentsPerMinute } });
      const answers = await ask(
        key,
        Array.from({ length: 50 }, () => '/api/documents/1/text'),
      );
      expect(statuses(answers)).toEqual({ 200: documentsPerMinute, 429: 50 - documentsPerMinute });
    }
  });

  test('never make one dump more than the quota', async () => {
    for (const dumpsAtOnce of [1, 5]) {
      const { key } = await createMiner(first.parts.knex, { name: 'Ada', quota: { dumpsAtOnce } });
      const miner = first.as(key);
      const make = async () => {
        const made = await miner.post('/api/docsets').send({ query: { match_all: {} } });
        return `/api${(made.body as { url: string }).url}/dump`;
      };
      const paths = await Promise.all(Array.from({ length: 50 }, make));
      expect(statuses(await ask(key, paths, 'POST'))).toEqual({ 202: dumpsAtOnce, 429: 50 - dumpsAtOnce });
    }
  });
});
