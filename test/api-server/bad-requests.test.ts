import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createMiner, revokeKey } from '../../api-server/miners/miners.js';
import { PACKAGER_KEY, fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';

let server: FreshApiServer;
let key: string;
let clients: Record<'miner' | 'packager' | 'nobody' | 'wrong', Client>;

beforeAll(async () => {
  server = await startFreshApiServer();
  key = await server.keyOf('Ada');
  clients = {
    miner: server.as(key),
    packager: server.as(PACKAGER_KEY),
    nobody: server.as(),
    wrong: server.as(`${key.slice(0, -1)}${key.endsWith('0') ? '1' : '0'}`),
  };
  await fill(server, 'c', [{ ref: 'a', metadata: { title: 'A' }, files: { txt: { text: 'apple' } } }]);
  await clients.miner.post('/api/docsets').send({ query: 'apple', name: 'one' }).expect(201);
});
afterAll(() => server.stop());

interface Case {
  what: string;
  as?: keyof typeof clients;
  method?: 'get' | 'post' | 'put' | 'patch' | 'delete';
  path?: string;
  body?: string | object;
  type?: string;
  status: number;
  problem: string;
  errors?: object[];
}

const nested = (levels: number): object => (levels === 0 ? { match_all: {} } : { bool: { must: nested(levels - 1) } });

const CASES: Case[] = [
  { what: 'no key', as: 'nobody', status: 401, problem: 'key-missing' },
  { what: 'a wrong key', as: 'wrong', status: 401, problem: 'key-invalid' },
  { what: 'no key at an unknown path', as: 'nobody', path: '/api/nowhere', status: 401, problem: 'key-missing' },
  {
    what: 'a packager that searches',
    as: 'packager',
    path: '/api/collections/c/search',
    method: 'post',
    body: { query: 'a' },
    status: 403,
    problem: 'role-not-allowed',
  },
  { what: 'an unknown path', path: '/api/nowhere', status: 404, problem: 'path-unknown' },
  { what: 'an unknown path outside', path: '/nowhere', status: 404, problem: 'path-unknown' },
  { what: 'a path that does not decode', path: '/api/docsets/%ff', status: 400, problem: 'request-invalid' },
  { what: 'a wrong method', method: 'delete', path: '/api/collections', status: 405, problem: 'method-not-allowed' },
  {
    what: 'a malformed id',
    path: '/api/docsets/a.b',
    status: 400,
    problem: 'request-invalid',
    errors: [{ parameter: 'docset', in: 'path' }],
  },
  { what: 'a malformed id of a document', path: '/api/documents/one', status: 400, problem: 'request-invalid' },
  { what: 'an unknown docset', path: '/api/docsets/999', status: 404, problem: 'docset-not-found' },
  { what: 'an unknown collection', path: '/api/collections/x', status: 404, problem: 'collection-not-found' },
  {
    what: 'an unknown collection in a body',
    method: 'post',
    body: { collection: 'x', query: 'a' },
    status: 404,
    problem: 'collection-not-found',
  },
  { what: 'an unknown format', path: '/api/docsets/1?fmt=txt,docx', status: 400, problem: 'format-unknown' },
  { what: 'a format with a NUL', path: '/api/docsets/1/dump?fmt=%00', status: 400, problem: 'format-unknown' },
  { what: 'no format', path: '/api/docsets/1?fmt=', status: 400, problem: 'request-invalid' },
  {
    what: 'an unknown parameter',
    path: '/api/docsets/1?format=txt',
    status: 400,
    problem: 'request-invalid',
    errors: [{ parameter: 'format', in: 'query' }],
  },
  { what: 'a limit that is no number', path: '/api/docsets?limit=x', status: 400, problem: 'request-invalid' },
  { what: 'a cursor of another make', path: '/api/docsets?cursor=x', status: 400, problem: 'cursor-invalid' },
  {
    what: 'a cursor that is no text',
    path: '/api/docsets/1/members?cursor=AA',
    status: 400,
    problem: 'cursor-invalid',
  },
  { what: 'a body that is not JSON', method: 'post', body: '{"query":', status: 400, problem: 'body-not-json' },
  {
    what: 'a body of another type',
    method: 'post',
    body: 'query=a',
    type: 'application/x-www-form-urlencoded',
    status: 415,
    problem: 'media-type-not-supported',
  },
  { what: 'no body', method: 'post', status: 415, problem: 'media-type-not-supported' },
  { what: 'a JSON body that is no object', method: 'post', body: '7', status: 400, problem: 'request-invalid' },
  { what: 'an empty object', method: 'post', body: {}, status: 400, problem: 'request-invalid' },
  {
    what: 'both query and members',
    method: 'post',
    body: { query: 'a', members: ['a'] },
    status: 400,
    problem: 'request-invalid',
  },
  {
    what: 'a body of 10 MB',
    path: '/api/collections/c/search',
    method: 'post',
    body: { query: 'a'.repeat(10_000_000) },
    status: 413,
    problem: 'body-too-large',
  },
  {
    what: 'an unknown field',
    method: 'post',
    body: { query: 'a', colour: 'red' },
    status: 400,
    problem: 'request-invalid',
    errors: [{ pointer: '/colour' }],
  },
  {
    what: 'a wrong type',
    method: 'post',
    body: { query: 'a', name: 7 },
    status: 400,
    problem: 'request-invalid',
    errors: [{ pointer: '/name' }],
  },
  {
    what: 'a text with U+0000',
    method: 'post',
    body: { query: { term: { x: 'a\0b' } } },
    status: 400,
    problem: 'request-invalid',
    errors: [{ pointer: '/query/term/x' }],
  },
  {
    what: 'half a surrogate pair',
    method: 'post',
    body: '{"query":{"term":{"\\ud800":"a"}}}',
    status: 400,
    problem: 'request-invalid',
    errors: [{ pointer: '/query/term' }],
  },
  {
    what: 'a body nested 300,000 deep',
    method: 'post',
    body: `{"query":{"bool":{"must":${'['.repeat(300_000)}${']'.repeat(300_000)}}}}`,
    status: 400,
    problem: 'request-invalid',
  },
  {
    what: 'a query nested too deep',
    method: 'post',
    body: { query: nested(30) },
    status: 400,
    problem: 'query-not-supported',
  },
  {
    what: 'a clause that is not supported',
    method: 'post',
    body: { query: { bool: { must: [{ match_all: {} }, { fuzzy: { a: 'b' } }] } } },
    status: 400,
    problem: 'query-not-supported',
    errors: [{ pointer: '/query/bool/must/1/fuzzy' }],
  },
  {
    what: 'a query that matches nothing',
    method: 'post',
    body: { query: 'nothingness' },
    status: 422,
    problem: 'docset-empty',
  },
  {
    what: 'a dump in formats that no member has',
    method: 'post',
    path: '/api/docsets/1/dump?fmt=pdf,html',
    status: 422,
    problem: 'formats-not-in-docset',
  },
  {
    what: 'members that are not there',
    method: 'post',
    body: { members: ['a', 'b'] },
    status: 422,
    problem: 'members-unknown',
  },
  { what: 'an unknown problem', path: '/problems/x', status: 404, problem: 'problem-not-found' },
];

describe('each fault has its own problem, and nothing is written', () => {
  test.each(CASES)('$what: $status $problem', async (each) => {
    const { as = 'miner', method = 'get', path = '/api/docsets', body, type, status, problem, errors } = each;
    const before = await rows();
    let request = clients[as][method](path);
    if (body !== undefined) request = request.set('Content-Type', type ?? 'application/json').send(body);
    const response = await request;
    expect({ status: response.status, body: response.body as object }).toMatchObject({
      status,
      body: { type: `/problems/${problem}`, status, title: expect.any(String), detail: expect.any(String) },
    });
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json/);
    if (errors !== undefined) {
      expect(response.body).toMatchObject({ errors: errors.map((error) => expect.objectContaining(error) as object) });
    }
    expect(response.text).not.toMatch(/node_modules|\.ts:|\.js:|at \w+ \(/);
    await clients.nobody.get((response.body as { type: string }).type).expect(200);
    expect(await rows()).toEqual(before);
  });
});

test('a revoked key opens nothing any more', async () => {
  const { knex } = server.parts;
  const miner = await createMiner(knex, { name: 'Eve' });
  await server.as(miner.key).get('/api/collections').expect(200);
  expect(await revokeKey(knex, miner.keyId)).toBe(true);
  expect(await revokeKey(knex, miner.keyId)).toBe(false);
  const response = await server.as(miner.key).get('/api/collections').expect(401);
  expect(response.body).toMatchObject({ type: '/problems/key-invalid' });
});

test('a 401 names the scheme, a 405 the methods, and a bearer token is as good as X-API-Key', async () => {
  expect((await clients.nobody.get('/api/docsets')).headers['www-authenticate']).toBe('Bearer realm="adit"');
  expect((await clients.miner.delete('/api/collections')).headers['allow']?.split(', ').sort()).toEqual([
    'GET',
    'POST',
  ]);
  await clients.nobody.get('/api/docsets').set('Authorization', `Bearer ${key}`).expect(200);
});

test('which collection is asked for where there are several', async () => {
  await fill(server, 'd', [{ ref: 'a' }]);
  const response = await clients.miner.post('/api/docsets').send({ query: 'apple' }).expect(400);
  expect(response.body).toMatchObject({ type: '/problems/collection-required' });
});

test('keys never come into the log', () => {
  expect(server.logged()).toContain('"url":"/api/docsets"');
  expect(server.logged()).not.toContain(key);
  expect(server.logged()).not.toContain(PACKAGER_KEY);
});

async function rows(): Promise<unknown> {
  const { knex } = server.parts;
  return knex
    .raw(
      'select (select count(*) from docsets), (select count(*) from docset_members), (select count(*) from documents)',
    )
    .then(({ rows: [row] }: { rows: unknown[] }) => row);
}

test.each([
  [{ query: '' }, '/query must NOT have fewer than 1 characters, or must be object.'],
  [{ query: 5 }, '/query must be string, or must be object.'],
  [{ query: 'a', limit: 1000 }, '/limit must be <= 100.'],
  [{ qury: 'a' }, "/query must have required property 'query'."],
  [[], 'The request must be object.'],
])('a search of %j is told what does not fit, and where', async (body, sentence) => {
  const response = await clients.miner.post('/api/collections/c/search').send(body).expect(400);
  expect((response.body as { detail: string }).detail).toBe(sentence);
});

test('a parameter that does not fit is told by its name', async () => {
  const response = await clients.miner.get('/api/docsets?limit=0').expect(400);
  expect((response.body as { detail: string }).detail).toBe('limit must be >= 1.');
});
