/** `Prefer: wait`: a request that is answered once its dump is over, whoever ended it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { eventMessage, eventsOf, openBroker } from '../../queue-config/index.js';
import { waitUntil } from '../servers/wait-until.js';
import { fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';

let folder: string;
let broker: EmbeddedBroker;
let server: FreshApiServer;
let miner: Client;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
  broker = await startEmbeddedBroker({ folder: join(folder, 'broker'), port: 0 });
  server = await startFreshApiServer(undefined, { BROKER_URL: broker.url, POLL_INTERVAL: 'off' });
  await fill(server, 'texts', [{ ref: 'a', files: { txt: { text: 'a text' } } }]);
  miner = server.as(await server.keyOf('Ada'));
});
afterAll(async () => {
  await server.stop();
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

/** How often a docset's events were drained until now. */
const drains = async (): Promise<number> => {
  const metrics = await (await fetch(`${server.url}/metrics`)).text();
  return Number(/^adit_drain_seconds_count\{result="drained"\} (\d+)/m.exec(metrics)?.[1] ?? 0);
};

interface Status {
  id: string;
  status: string;
}

const newDump = async (): Promise<{ docset: string; path: string; id: string }> => {
  const made = await miner.post('/api/docsets').send({ query: { match_all: {} } });
  const { url } = made.body as { url: string };
  const path = `/api${url}/dump`;
  const { id } = (await miner.post(path).expect(202)).body as Status;
  return { docset: url.split('/').at(-1) ?? '', path, id };
};

/** The answer to a poll that waits, which is under way when this resolves, and its first look at the queue is over. */
const waiting = async (path: string): Promise<{ answer: Promise<Status> }> => {
  const before = await drains();
  const answer = miner
    .get(path)
    .set('Prefer', 'wait=30')
    .then(({ body }) => body as Status);
  await waitUntil('it has looked once', async () => (await drains()) > before);
  return { answer };
};

test('hears of a dump that is cancelled meanwhile', async () => {
  const { path } = await newDump();
  const { answer } = await waiting(path);
  await miner.delete(path).expect(200);
  expect((await answer).status).toBe('dismissed');
});

test('hears of an end whose news another poll has taken', async () => {
  const { docset, path, id } = await newDump();
  const { answer } = await waiting(path);
  const packagers = openBroker({ urls: broker.url });
  const end = { type: 'Failed', detail: 'no space left', code: 'storage-unavailable' } as const;
  await packagers.publish(eventMessage(eventsOf(docset), { ...end, dump: id, attempt: 1, run: 1, sequence: 1 }));
  const other = (await miner.get(path).expect(200)).body as Status;
  expect([other.status, (await answer).status]).toEqual(['failed', 'failed']);
  await packagers.close();
});
