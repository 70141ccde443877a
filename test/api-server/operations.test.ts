/** What operators see of queues and dumps, and what they do about dead letters. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { DELETE_REQUESTS, PACKAGE_REQUESTS, eventsOf, openBroker, type Broker } from '../../queue-config/index.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { connectStomp, describeOn, startActiveMQ, waitUntil, type ActiveMQ } from '../servers/index.js';
import { fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

interface Queues {
  queues: { queue: string; messages: number; consumers: number; taken: number; oldest: string | null }[];
  progress: { queues: number; messages: number; consumers: number };
  dead_letters: {
    id: string;
    reason: string;
    from: string;
    since: string;
    expires: string;
    stays_because: string | null;
  }[];
  strays: number;
}

/** A broker, and how its accounts reach it. */
interface Side {
  urls: Record<'api-server' | 'packager', string>;
  /** For the api-server. */
  env: Record<string, string>;
}

describe('on the embedded broker', () => {
  let folder: string;
  let broker: EmbeddedBroker;
  queuesAreTold(
    async () => {
      folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
      broker = await startEmbeddedBroker({ folder, accounts: [{ login: 'adit', passcode: 'secret' }] });
      const url = broker.url.replace('://', '://adit:secret@');
      return { urls: { 'api-server': url, packager: url }, env: {} };
    },
    async () => {
      await broker.stop();
      await rm(folder, { recursive: true });
    },
  );
});

describeOn('activemq', 'on ActiveMQ', () => {
  let activemq: ActiveMQ;
  queuesAreTold(
    async () => {
      activemq = await startActiveMQ();
      const urls = { 'api-server': activemq.url('api-server'), packager: activemq.url('packager') };
      return { urls, env: { BROKER_OPERATOR_PASSCODE: activemq.passcodes.operator } };
    },
    () => activemq.close(),
  );

  test('without the operator’s passcode, the answer says what to set', async () => {
    const server = await startFreshApiServer(undefined, { BROKER_URL: activemq.url('api-server') });
    try {
      const response = await server
        .as(await server.keyOf('Root', 'admin'))
        .get('/api/admin/queues')
        .expect(503);
      expect(response.body).toMatchObject({ type: '/problems/broker-refuses' });
      expect((response.body as { detail: string }).detail).toContain('Set BROKER_OPERATOR_PASSCODE');
    } finally {
      await server.stop();
    }
  });
});

function queuesAreTold(start: () => Promise<Side>, stop: () => Promise<void>): void {
  let side: Side;
  let server: FreshApiServer;
  let admin: Client;
  let packager: Broker;
  beforeAll(async () => {
    side = await start();
    server = await startFreshApiServer(undefined, { BROKER_URL: side.urls['api-server'], ...side.env });
    admin = server.as(await server.keyOf('Root', 'admin'));
    packager = openBroker({ urls: side.urls.packager });
    await fill(server, 'c', [{ ref: 'a', files: { txt: { text: 'apple' } } }]);
  });
  afterAll(async () => {
    await packager.close();
    await server.stop();
    await stop();
  });

  const read = async (): Promise<Queues> => (await admin.get('/api/admin/queues').expect(200)).body as Queues;

  /** Takes the first request as a packager of another make does, and does with it what `then` says. */
  async function take(queue: string, then: 'NACK' | 'hold'): Promise<{ let: () => Promise<void> }> {
    const peer = await connectStomp(side.urls.packager);
    const one = { 'activemq.prefetchSize': '1', 'prefetch-count': '1' };
    await peer.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'client-individual', ...one });
    const id = (await peer.message()).headers['ack'] ?? '';
    if (then === 'NACK') await peer.request('NACK', { id });
    return { let: () => peer.disconnect() };
  }

  test('what waits is told with its age and who takes it, and looking takes nothing', async () => {
    const began = Date.now();
    for (const query of ['apple', { match_all: {} }]) {
      const made = await admin.post('/api/docsets').send({ collection: 'c', query }).expect(201);
      await admin.post(`/api${(made.body as { url: string }).url}/dump?fmt=txt`).expect(202);
    }
    await packager.publish({ destination: eventsOf('77'), headers: {}, body: 'Accepted.', persistent: false });
    const held = await take(PACKAGE_REQUESTS, 'hold');
    const told = await waitUntil('it is taken', async () => {
      const queues = await read();
      return queues.queues[0]?.taken === 1 ? queues : undefined;
    });
    expect(told.queues.map(({ queue, messages, consumers }) => [queue, messages, consumers])).toEqual([
      ['/queue/docsets/package', 2, 1],
      ['/queue/docsets/package/large', 0, 0],
      ['/queue/docsets/delete', 0, 0],
      ['/queue/docsets/dead', 0, 0],
    ]);
    expect(Math.abs(Date.parse(told.queues[0]?.oldest ?? '') - began)).toBeLessThan(60_000);
    expect(told.progress).toEqual({ queues: 1, messages: 1, consumers: 0 });
    expect(told).toMatchObject({ dead_letters: [], strays: 0 });
    await held.let();
    const again = await waitUntil('it is given back', async () => {
      const queues = await read();
      return queues.queues[0]?.consumers === 0 ? queues : undefined;
    });
    expect(again.queues[0]?.messages).toBe(2);
  });

  test('dead letters are told with the reason, sent again, and deleted', async () => {
    const request = { destination: DELETE_REQUESTS, headers: {}, body: 'dumps/d3/', persistent: true };
    await packagerIsSent(request);
    await (await take(DELETE_REQUESTS, 'NACK')).let();
    const [letter] = (await deadLetters(1)) as [Queues['dead_letters'][0]];
    expect(letter).toMatchObject({ from: DELETE_REQUESTS, stays_because: null });
    expect(letter.reason).not.toBe('');
    expect(Math.abs(Date.now() - Date.parse(letter.since))).toBeLessThan(60_000);
    expect((await admin.post('/api/admin/dead-letters/redrive').expect(200)).body).toEqual({ sent: 1, kept: [] });
    expect(await deadLetters(0)).toEqual([]);
    await (await take(DELETE_REQUESTS, 'NACK')).let();
    await deadLetters(1);
    expect((await admin.delete('/api/admin/dead-letters').expect(200)).body).toEqual({ deleted: 1 });
    expect(await deadLetters(0)).toEqual([]);
  });

  const packagerIsSent = (message: Parameters<Broker['publish']>[0]): Promise<void> => {
    const apiServer = openBroker({ urls: side.urls['api-server'] });
    return apiServer.publish(message).finally(() => apiServer.close());
  };

  const deadLetters = (count: number): Promise<Queues['dead_letters']> =>
    waitUntil(`there are ${count} dead letters`, async () => {
      const letters = (await read()).dead_letters;
      return letters.length === count ? letters : undefined;
    });
}

test('a broker that is away is told as such', async () => {
  const server = await startFreshApiServer();
  try {
    const response = await server
      .as(await server.keyOf('Root', 'admin'))
      .get('/api/admin/queues')
      .expect(503);
    expect(response.body).toMatchObject({ type: '/problems/broker-unavailable' });
    expect(Number(response.headers['retry-after'])).toBeGreaterThan(0);
  } finally {
    await server.stop();
  }
});

interface Overview {
  live: { total: number; dumps: Record<string, unknown>[] };
  outcomes: object[];
  failures: object[];
  packagers: object[];
}

onEachDatabase((start) => {
  let folder: string;
  let broker: EmbeddedBroker;
  let server: FreshApiServer;
  let admin: Client;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
    broker = await startEmbeddedBroker({ folder });
    server = await start({ BROKER_URL: broker.url });
    admin = server.as(await server.keyOf('Root', 'admin'));
    await fill(server, 'c', [{ ref: 'a', files: { txt: { text: 'apple' } } }]);
  });
  afterAll(async () => {
    await server.stop();
    await broker.stop();
    await rm(folder, { recursive: true });
  });

  /** @returns id of the dump */
  async function dump(columns: Record<string, unknown>): Promise<string> {
    const made = await admin.post('/api/docsets').send({ collection: 'c', query: 'apple' }).expect(201);
    const asked = await admin.post(`/api/docsets/${(made.body as { id: string }).id}/dump?fmt=txt`).expect(202);
    const { id } = asked.body as { id: string };
    await server.parts.knex('dumps').where({ id }).update(columns);
    return id;
  }

  test('dumps of everybody are told: those under way, how others ended and why, and who packs', async () => {
    expect((await admin.get('/api/admin/dumps').expect(200)).body).toEqual({
      days: 7,
      live: { total: 0, dumps: [] },
      outcomes: [],
      failures: [],
      packagers: [],
    });
    const now = Date.now();
    const finished = new Date(now - 60_000);
    const failed = (code: string, detail: string, ended = finished) =>
      dump({ status: 'failed', finished: ended, packager: 'host/2/b', error: JSON.stringify({ code, detail }) });
    const waiting = await dump({ status: 'accepted' });
    const running = await dump({ status: 'running', packager: 'host/1/a', phase: 'packaging', progress: 42 });
    await failed('packager-lost', 'first', new Date(now - 120_000));
    const last = await failed('packager-lost', 'last');
    await failed('source-refused', 'no');
    await failed('packaging-failed', 'long ago', new Date(now - 8 * 86_400_000));
    await dump({ status: 'dismissed', finished });
    const { body } = (await admin.get('/api/admin/dumps').expect(200)) as { body: Overview };
    expect(body.live.total).toBe(2);
    expect(body.live.dumps).toMatchObject([
      { id: waiting, owner: 'Root', status: 'accepted', packager: null, documents: 1, packed: 0, formats: ['txt'] },
      { id: running, status: 'running', packager: 'host/1/a', phase: 'packaging', progress: 42 },
    ]);
    expect(body.outcomes).toEqual([
      { status: 'failed', dumps: 3 },
      { status: 'dismissed', dumps: 1 },
    ]);
    expect(body.failures).toMatchObject([
      {
        type: '/problems/packager-lost',
        dumps: 2,
        latest: { id: last, detail: 'last', finished: finished.toISOString() },
      },
      { type: '/problems/source-refused', dumps: 1 },
    ]);
    expect(body.packagers).toMatchObject([
      { packager: 'host/1/a', live: 1, successful: 0, failed: 0 },
      { packager: 'host/2/b', live: 0, successful: 0, failed: 3, heard: finished.toISOString() },
    ]);
    const longer = (await admin.get('/api/admin/dumps?days=30').expect(200)) as { body: Overview };
    expect(longer.body.failures).toHaveLength(3);
  });
});
