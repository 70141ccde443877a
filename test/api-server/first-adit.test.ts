/**
 * What clients of the first Adit (2017) send, and where they look in the answers: written from its documented behaviour. Answers may
 * hold more; what it did wrong is not kept, and is named here too.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMiner } from '../../api-server/miners/miners.js';
import { PACKAGER_KEY, fill, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

const DEPARTMENT = 'Mechanical Engineering';
const THESES = Array.from({ length: 25 }, (_, n) => ({
  ref: String(1700 + n),
  metadata: {
    title: `On gears, part ${n}`,
    creator: `Author ${n}`,
    advisor: 'A. Professor',
    degree: 'Ph.D.',
    department: n < 13 ? DEPARTMENT : 'Physics',
    abstract: `What gears do, part ${n}.`,
    issue_date: '2016',
    handle: `http://hdl.example.org/1/${1700 + n}`,
  },
  files: { txt: { text: `Full text of thesis ${n}` }, pdf: { base64: Buffer.from(`%PDF ${n}`).toString('base64') } },
}));

onEachDatabase((start) => {
  let server: FreshApiServer;
  let key: string;
  /** As those clients did it: the base path, then what an answer calls a `url`; the key in X-Api-Key, JSON in and out. */
  const call = async (method: string, url: string, body?: unknown, headers: Record<string, string> = {}) => {
    const answer = await fetch(`${server.url}/api${url}`, {
      method,
      headers: { 'X-Api-Key': key, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
    });
    const text = await answer.text();
    const isJson = /json/.test(answer.headers.get('content-type') ?? '');
    return { status: answer.status, headers: answer.headers, text, json: (isJson ? JSON.parse(text) : {}) as never };
  };
  const get = (url: string, headers?: Record<string, string>) => call('GET', url, undefined, headers);

  beforeAll(async () => {
    server = await start();
    await fill(server, 'theses', THESES, { name: 'Theses', description: 'Of an institute' });
    key = await server.keyOf('tdm');
  });
  afterAll(() => server.stop());

  describe('collections', () => {
    test('are a list of urls and names, and each leads to its schema and its search', async () => {
      const [first] = (await get('/collections')).json as { url: string; name: string }[];
      expect(first).toMatchObject({ url: '/collections/theses', name: 'Theses' });
      const collection = (await get(String(first?.url))).json as Record<string, string>;
      expect(collection).toMatchObject({
        url: '/collections/theses',
        schema_url: '/collections/theses/schema',
        search_url: '/collections/theses/search',
        name: 'Theses',
        description: 'Of an institute',
      });
      const schema = (await get(String(collection['schema_url']))).json as { $schema: string; properties: object };
      expect(schema.$schema).toBe('http://json-schema.org/draft-04/schema#');
      expect(Object.keys(schema.properties)).toEqual(
        expect.arrayContaining(['title', 'advisor', 'degree', 'abstract']),
      );
      const found = await call('POST', String(collection['search_url']), { query: { match_all: {} } });
      expect(found).toMatchObject({ status: 200, json: { hits: 25 } });
    });

    test('are searched with what its web page sent, a list under filter included', async () => {
      const query = { constant_score: { filter: [{ term: { department: DEPARTMENT } }] } };
      expect((await call('POST', '/collections/theses/search', { query })).json).toMatchObject({ hits: 13 });
    });
  });

  describe('documents', () => {
    test('have ref, title, creator and abstract', async () => {
      expect((await get('/documents/1')).json).toMatchObject({
        ref: '1700',
        title: 'On gears, part 0',
        creator: 'Author 0',
        abstract: 'What gears do, part 0.',
      });
    });

    test('come as Accept says', async () => {
      const text = await get('/documents/1/text', { Accept: 'text/plain' });
      expect(text).toMatchObject({ status: 200, text: 'Full text of thesis 0' });
      const pdf = await get('/documents/1/text', { Accept: 'application/pdf' });
      expect(pdf).toMatchObject({ status: 200, text: '%PDF 0' });
      expect(pdf.headers.get('content-type')).toBe('application/pdf');
    });

    test('of 12 a minute are 12, not 11 and not 13, and the headers say so', async () => {
      const twelve = (await createMiner(server.parts.knex, { name: 'slow', quota: { documentsPerMinute: 12 } })).key;
      const now = Math.floor(Date.now() / 1_000);
      for (let read = 1; read <= 12; read += 1) {
        const { status, headers } = await get('/documents/1/text', { 'X-Api-Key': twelve });
        expect([status, headers.get('x-ratelimit-limit'), headers.get('x-ratelimit-remaining')]).toEqual([
          200,
          '12',
          String(12 - read),
        ]);
        const reset = Number(headers.get('x-ratelimit-reset'));
        expect(reset).toBeGreaterThan(now);
        expect(reset).toBeLessThan(now + 120);
      }
      const refused = await get('/documents/1/text', { 'X-Api-Key': twelve });
      expect([refused.status, refused.headers.get('x-ratelimit-remaining')]).toEqual([429, '0']);
    });
  });

  describe('docsets', () => {
    test('are made, found, listed, renamed and deleted as they were', async () => {
      const query = { constant_score: { filter: [{ term: { department: DEPARTMENT } }] } };
      const made = await call('POST', '/docsets', { query });
      expect(made).toMatchObject({ status: 201, json: { create: 'success' } });
      const id = String(made.headers.get('location')?.split('/').at(-1));
      const url = `/docsets/${id}`;
      const docset = { url, generator: JSON.stringify(query), owner: 'tdm' };
      expect((await get(url)).json).toMatchObject(docset);
      expect((await get('/docsets')).json).toMatchObject({
        docsets: expect.arrayContaining([expect.objectContaining(docset)]),
      });
      for (const [method, name] of [
        ['PUT', 'Gears'],
        ['PATCH', 'More gears'],
      ] as const) {
        expect(await call(method, url, { docset: { name } })).toMatchObject({
          status: 200,
          json: { update: 'success' },
        });
        expect((await get(url)).json).toMatchObject({ name });
      }
      expect(await call('DELETE', url)).toMatchObject({ status: 200, json: { delete: 'ok' } });
      expect((await get(url)).status).toBe(404);
    });

    test('have all that was found, not the first ten; members and catalog list them with url and ref', async () => {
      const made = await call('POST', '/docsets', { query: { match_all: {} } });
      const url = `/docsets/${String(made.headers.get('location')?.split('/').at(-1))}`;
      for (const list of ['members', 'catalog']) {
        const { docset, members } = (await get(`${url}/${list}`)).json as {
          docset: object;
          members: { url: string }[];
        };
        expect(docset).toMatchObject({ url });
        expect(members).toHaveLength(25);
        expect(members[0]).toMatchObject({ url: expect.stringMatching(/^\/documents\/\d+$/), ref: '1700' });
        expect((await get(String(members[0]?.url))).json).toMatchObject({ ref: '1700' });
      }
    });

    test('are found where Location says, with the base path before it or without', async () => {
      const made = await call('POST', '/docsets', { query: { match_all: {} } });
      const location = String(made.headers.get('location'));
      expect((await fetch(`${server.url}${location}`, { headers: { 'X-Api-Key': key } })).status).toBe(200);
      // Its Location had no base path, so that its clients put one before it.
      expect((await get(location)).status).toBe(200);
    });

    test('list their members for a packager of that time, which knows nothing but the URL in a request', async () => {
      const { members } = (await get('/docsets/2', { 'X-Api-Key': PACKAGER_KEY })).json as {
        members: { ref: string }[];
      };
      expect(members.map(({ ref }) => ref)).toEqual(THESES.map(({ ref }) => ref));
    });
  });

  describe('a dump', () => {
    test('is not started by a GET, whose answer says how to ask for it, in the formats of fmts', async () => {
      const answer = await get('/docsets/2/dump?fmts=meta,txt');
      expect(answer).toMatchObject({
        status: 404,
        json: {
          type: '/problems/dump-not-requested',
          request: { method: 'POST', href: '/api/docsets/2/dump?fmt=meta,txt' },
        },
      });
      expect(answer.text).toContain('POST /api/docsets/2/dump?fmt=meta,txt');
      expect(await server.parts.knex('dumps')).toEqual([]);
    });
  });

  describe('errors', () => {
    test('have the statuses that they had, but for a key that is missing', async () => {
      expect((await get('/docsets/999')).status).toBe(404);
      expect((await get('/documents/999')).status).toBe(404);
      expect((await get('/docsets/2', { 'X-Api-Key': await server.keyOf('somebody else') })).status).toBe(403);
      expect((await call('POST', '/docsets', {})).status).toBe(400);
      expect((await fetch(`${server.url}/api/docsets`)).status).toBe(401);
    });

    test('of a key that nobody made: nobody is made of it', async () => {
      const before = (await server.parts.knex('miners')).length;
      expect((await get('/docsets', { 'X-Api-Key': 'made-up-on-the-spot' })).status).toBe(401);
      expect(await server.parts.knex('miners')).toHaveLength(before);
    });
  });

  test('a page on another host may ask, with a key, and read the headers of the quota', async () => {
    const preflight = await fetch(`${server.url}/api/docsets`, {
      method: 'OPTIONS',
      headers: { Origin: 'https://page.example', 'Access-Control-Request-Headers': 'x-api-key,content-type' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*');
    expect(preflight.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('x-api-key');
    const { headers } = await get('/documents/1/text', { Origin: 'https://page.example' });
    expect(headers.get('access-control-allow-origin')).toBe('*');
    expect(headers.get('access-control-expose-headers')?.toLowerCase()).toContain('x-ratelimit-remaining');
  });
});
