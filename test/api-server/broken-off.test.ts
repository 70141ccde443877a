/** Clients that go away in the middle. */
import { once } from 'node:events';
import { request, type ClientRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import express from 'express';
import { sendAnswer } from '../../api-server/http/answers.js';
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

test('a reader that goes away before the first byte leaves nothing open', async () => {
  const events: string[] = [];
  let goOn: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => (goOn = resolve));
  async function* parts(): AsyncGenerator<string> {
    events.push('opened');
    try {
      await gone;
      yield 'the first';
      yield 'the second';
    } finally {
      events.push('closed');
    }
  }
  const app = express().get('/parts', async (asked, response) => {
    response.on('close', goOn);
    await sendAnswer(asked, response, { stream: parts() });
    events.push('answered');
  });
  const listening = app.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const url = `http://127.0.0.1:${(listening.address() as AddressInfo).port}/parts`;
  const reader = request(url, { agent: false }).on('error', () => undefined);
  reader.end();
  await waitUntil('it is asked for', () => Promise.resolve(events.includes('opened')));
  reader.destroy();
  await waitUntil('the request is over', () => Promise.resolve(events.includes('answered')));
  listening.close();
  expect(events).toEqual(['opened', 'closed', 'answered']);
});
