/** Every limit is a refusal that names it: nothing is cut short. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';

let server: FreshApiServer;
let miner: Client;
beforeAll(async () => {
  server = await startFreshApiServer();
  await fill(server, 'c', [{ ref: 'a', metadata: { title: 'A' }, files: { txt: { text: 'apple' } } }]);
  miner = server.as(await server.keyOf('Ada'));
  await miner.post('/api/docsets').send({ query: 'apple' }).expect(201);
});
afterAll(() => server.stop());

const SEARCH = '/api/collections/c/search';
const bool = (levels: number): object => (levels === 0 ? { match_all: {} } : { bool: { must: bool(levels - 1) } });
const clauses = (count: number): object => ({
  bool: { should: Array.from({ length: count }, () => ({ match_all: {} })) },
});
const nested = (levels: number): string => `{"query":${'['.repeat(levels)}${']'.repeat(levels)}}`;
const facets = (count: number): object =>
  Object.fromEntries(Array.from({ length: count }, (_, n) => [`f${n}`, { years: {} }]));

interface Case {
  what: string;
  path: string;
  /** What is just within the limit, and what is just over it. */
  fine?: object | string;
  over?: object | string;
  status: number;
  problem: string;
  /** The limit, as the answer says it. */
  limit: RegExp;
}

const CASES: Case[] = [
  {
    what: 'a JSON body',
    path: SEARCH,
    over: { query: 'a'.repeat(1024 * 1024) },
    status: 413,
    problem: 'body-too-large',
    limit: /1 MiB/,
  },
  {
    what: 'levels of JSON',
    path: SEARCH,
    over: nested(101),
    status: 400,
    problem: 'request-invalid',
    limit: /100 levels/,
  },
  {
    what: 'levels of a query',
    path: SEARCH,
    fine: { query: bool(20) },
    over: { query: bool(21) },
    status: 400,
    problem: 'query-not-supported',
    limit: /\b20\b/,
  },
  {
    what: 'clauses',
    path: SEARCH,
    fine: { query: clauses(999) },
    over: { query: clauses(1_000) },
    status: 400,
    problem: 'query-not-supported',
    limit: /1000 clauses/,
  },
  {
    what: 'values of one clause',
    path: SEARCH,
    over: { query: { terms: { title: Array.from({ length: 1_001 }, String) } } },
    status: 400,
    problem: 'query-not-supported',
    limit: /1000/,
  },
  {
    what: 'a query as text',
    path: SEARCH,
    fine: { query: 'a'.repeat(1_000) },
    over: { query: 'a'.repeat(1_001) },
    status: 400,
    problem: 'request-invalid',
    limit: /1000/,
  },
  {
    what: 'a page of a search',
    path: SEARCH,
    fine: { query: 'a', limit: 100 },
    over: { query: 'a', limit: 101 },
    status: 400,
    problem: 'request-invalid',
    limit: /<= 100\b/,
  },
  {
    what: 'facets',
    path: SEARCH,
    fine: { query: 'a', facets: facets(10) },
    over: { query: 'a', facets: facets(11) },
    status: 400,
    problem: 'request-invalid',
    limit: /\b10\b/,
  },
  {
    what: 'a name',
    path: '/api/docsets',
    over: { query: 'apple', name: 'n'.repeat(201) },
    status: 400,
    problem: 'request-invalid',
    limit: /\b200\b/,
  },
];

test.each(CASES)(
  '$what: over the limit is $status, which says what the limit is',
  async ({ path, fine, over, ...wanted }) => {
    const send = (body: object | string | undefined) =>
      miner.post(path).set('Content-Type', 'application/json').send(body);
    if (fine !== undefined) expect((await send(fine)).status).toBe(200);
    const refused = await send(over).expect(wanted.status);
    expect(refused.body).toMatchObject({ type: `/problems/${wanted.problem}` });
    expect(refused.text).toMatch(wanted.limit);
  },
);

test.each(['/api/docsets', '/api/docsets/1/members', '/api/docsets/1/catalog'])(
  'a page of %s may have 10,000 entries',
  async (path) => {
    await miner.get(`${path}?limit=10000`).expect(200);
    const refused = await miner.get(`${path}?limit=10001`).expect(400);
    expect(refused.body).toMatchObject({ type: '/problems/request-invalid' });
    expect(refused.text).toMatch(/<= 10000\b/);
  },
);
