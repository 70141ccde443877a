/** Clients that go away in the middle. */
import { request, type ClientRequest } from 'node:http';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { waitUntil } from '../servers/index.js';
import { PACKAGER_KEY, fill, startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';

let server: FreshApiServer;
beforeAll(async () => {
  server = await startFreshApiServer();
});
afterAll(() => server.stop());

const faults = () =>
  server
    .logged()
    .split('\n')
    .filter((line) => line !== '' && (JSON.parse(line) as { level: number }).level >= 50);
const send = (method: string, path: string, headers: Record<string, string>): ClientRequest =>
  request(new URL(path, server.url), { method, headers, agent: false }).on('error', () => undefined);

test('an ingest that breaks off keeps what came whole, and goes on where it broke off when it is sent again', async () => {
  const key = await server.keyOf('Admin', 'admin');
  await server.as(key).post('/api/collections').send({ id: 'half', name: 'half' });
  const lines = Array.from({ length: 120 }, (_, index) => `${JSON.stringify({ ref: `r${index}` })}\n`);
  const headers = { 'X-API-Key': key, 'Content-Type': 'application/x-ndjson' };
  const ingest = send('POST', '/api/collections/half/documents', headers);
  const whole = lines.slice(0, 110).join('');
  const documents = async () => {
    const response = await server.as(key).get('/api/collections/half').expect(200);
    return (response.body as { documents: number }).documents;
  };
  let seen = 0;
  const count = ({ sql }: { sql: string }) => (seen += sql.includes('digest, current from documents') ? 1 : 0);
  server.parts.knex.on('query', count);
  ingest.write(`${whole}{"ref":"r110"`);
  await waitUntil('two batches of fifty have come', () => Promise.resolve(seen === 2));
  server.parts.knex.off('query', count);
  // None of them is written yet: their segment has room for more.
  expect(await documents()).toBe(0);
  ingest.destroy();
  await waitUntil('what came whole is written', async () => (await documents()) >= 100);
  const kept = await documents();
  const again = await server
    .as(key)
    .post('/api/collections/half/documents')
    .set('Content-Type', 'application/x-ndjson')
    .send(lines.join(''))
    .expect(200);
  expect(again.body).toMatchObject({ added: 120 - kept, unchanged: kept });
  expect(faults()).toEqual([]);
});

test('a reader that goes away in the middle of a listing stops it, and is no fault', async () => {
  await fill(server, 'large', []);
  // Twenty pages of a megabyte each: more than fits into the buffers of a connection.
  await server.parts.knex.raw(
    `insert into documents (collection_id, ref, revision, current, digest, title, metadata, tsv)
     select 'large', 'r' || number, 1, true, '', repeat('x', 2000), '{}', '' from generate_series(1, 10000) as number`,
  );
  const key = await server.keyOf('Ada');
  const made = await server
    .as(key)
    .post('/api/docsets')
    .send({ collection: 'large', query: { match_all: {} } });
  const { url } = made.body as { url: string };
  const queries: string[] = [];
  const count = (query: { sql: string }) => queries.push(query.sql);
  server.parts.knex.on('query', count);
  const headers = { 'X-API-Key': PACKAGER_KEY, Accept: 'application/x-ndjson' };
  const reader = new AbortController();
  const listing = await fetch(`${server.url}/api${url}`, { headers, signal: reader.signal });
  await listing.body?.getReader().read();
  reader.abort();
  await waitUntil('the end of the request is in the log', () =>
    Promise.resolve(server.logged().includes(`"url":"/api${url}"`)),
  );
  server.parts.knex.off('query', count);
  const pages = queries.filter((sql) => sql.includes('docset_members'));
  expect(pages.length).toBeLessThan(20);
  expect(faults()).toEqual([]);
});
