/** `adit queues check | status | redrive | purge` beside RabbitMQ as we configure it, and as it comes. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { runCheck } from '../../cli/queues-check.js';
import { runPurge, runRedrive, runStatus } from '../../cli/queues-status.js';
import {
  deadLetterMessage,
  DELETE_REQUESTS,
  encodePackageRequest,
  eventsOf,
  LARGE_PACKAGE_REQUESTS,
  openBroker,
  PACKAGE_REQUESTS,
  type Broker,
  type Destination,
} from '../../queue-config/index.js';
import type { Finding } from '../../queue-config/operations/check/check.js';
import { rabbitmq } from '../../queue-config/rabbitmq/dialect.js';
import { connectStomp, describeOn, startRabbitMQ, waitUntil, type RabbitMQ } from '../servers/index.js';
import { captureOutput } from './capture-output.js';

const DAY = 86_400_000;
const LONG = 180_000;
const SLOW = { deadlineMs: 60_000, pauseMs: 100 };

interface Status {
  permanent: { queue: string; statistics?: { messages: number; consumers: number; inFlight: number } }[];
  progress: { queues: number; messages: number; consumers: number };
  deadLetters: { reason: string; from?: string; since?: string; whole: boolean }[];
}

const asJson = async <T>(run: () => Promise<void>): Promise<T> => JSON.parse(await captureOutput(run)) as T;
const before = { ...process.env };

function use(server: RabbitMQ): void {
  process.env['BROKER_URL'] = `stomp://127.0.0.1:${server.stompPort}`;
  process.env['BROKER_MANAGEMENT_URL'] = server.managementUrl;
  process.env['BROKER_API_SERVER_PASSCODE'] = server.passcodes['api-server'];
  process.env['BROKER_PACKAGER_PASSCODE'] = server.passcodes.packager;
  process.env['BROKER_OPERATOR_PASSCODE'] = server.passcodes.operator;
}

async function check(): Promise<{ right: boolean; findings: Finding[]; wrong: string[] }> {
  const told = await asJson<{ right: boolean; findings: Finding[] }>(() =>
    runCheck({ eventTtl: DAY, wait: 1_000, json: true }),
  );
  const wrong = told.findings.filter(({ verdict }) => verdict === 'wrong');
  return { ...told, wrong: wrong.map(({ title }) => title) };
}

afterEach(() => {
  process.env = { ...before };
  process.exitCode = 0;
});

describeOn('rabbitmq', 'adit queues, beside RabbitMQ as it is rendered', () => {
  let server: RabbitMQ;
  let apiServer: Broker;
  let packager: Broker;

  beforeAll(async () => {
    server = await startRabbitMQ();
    apiServer = openBroker({ urls: server.url('api-server') });
    packager = openBroker({ urls: server.url('packager') });
  }, LONG);
  afterAll(async () => {
    await Promise.all([apiServer.close(), packager.close()]);
    await server.close();
  }, LONG);

  const status = (): Promise<Status> => {
    use(server);
    return asJson<Status>(() => runStatus({ json: true }));
  };
  const request = (dump: string, destination: Destination = PACKAGE_REQUESTS) => ({
    destination,
    ...encodePackageRequest({ url: 'http://s/api/docsets/7?fmt=txt', attempt: 1, dump, docset: '7' }),
    persistent: true,
    expires: Date.now() + 600_000,
  });

  /** As a packager of another make does: takes the next one, and refuses it or gives it back, as often. */
  async function refuse(queue: Destination, headers: Record<string, string> = {}, times = 1): Promise<void> {
    const peer = await connectStomp(server.url('packager'));
    await peer.request('SUBSCRIBE', { id: '1', destination: rabbitmq.spell(queue), ack: 'client-individual' });
    for (let time = 0; time < times; time++) {
      await peer.request('NACK', { id: (await peer.message(60_000)).headers['ack'] ?? '', ...headers });
    }
    await peer.disconnect();
  }

  async function take(queue: Destination): Promise<{ headers: Readonly<Record<string, string>>; body: string }[]> {
    const seen: { headers: Readonly<Record<string, string>>; body: string }[] = [];
    const consumer = packager.consume(queue, { prefetch: 1 }, async (delivery) => {
      seen.push(delivery.message);
      await delivery.ack();
    });
    await waitUntil('it was taken', () => seen.length > 0, SLOW);
    await consumer.stop();
    return seen;
  }

  test(
    'what we render is right in every point, requests that wait stay where they are, and nothing is left',
    async () => {
      await apiServer.publish(request('waits', LARGE_PACKAGE_REQUESTS));
      const waits = async (): Promise<boolean> =>
        (await status()).permanent.some(({ queue, statistics }) => /large/.test(queue) && statistics?.messages === 1);
      await waitUntil('statistics tell of it', waits, SLOW);
      const { right, findings } = await check();
      expect(findings.filter(({ verdict }) => verdict !== 'right')).toEqual([]);
      expect([right, findings.length, process.exitCode ?? 0]).toEqual([true, 12, 0]);
      expect(findings.map(({ found }) => found).join('\n')).toContain('docsets.package.large was not tried');
      const queues = (await server.ask('queues')) as { name: string }[];
      expect(queues.map(({ name }) => name).filter((name) => /check/.test(name))).toEqual([]);
      expect((await status()).deadLetters).toEqual([]);
      const [left] = await take(LARGE_PACKAGE_REQUESTS);
      expect([left?.headers['correlation-id'], left?.headers['redelivered']]).toEqual(['waits', 'false']);
    },
    LONG,
  );

  test('what waits is told, and the progress queues together', async () => {
    await apiServer.publish(request('d1'));
    for (const docset of ['7', '8']) {
      await packager.publish({ destination: eventsOf(docset), headers: {}, body: 'Accepted.', persistent: false });
    }
    const told = await waitUntil(
      'statistics tell of all',
      async () => {
        const { permanent, progress } = await status();
        return permanent[0]?.statistics?.messages === 1 && progress.messages === 2 && { permanent, progress };
      },
      SLOW,
    );
    expect(told.permanent.map(({ queue }) => queue)).toEqual([
      '/queue/docsets/package',
      '/queue/docsets/package/large',
      '/queue/docsets/delete',
      '/queue/docsets/dead',
    ]);
    expect(told.progress).toEqual({ queues: 2, messages: 2, consumers: 0 });
    const [taken] = await take(PACKAGE_REQUESTS);
    expect([taken?.headers['correlation-id'], taken?.headers['redelivered']]).toEqual(['d1', 'false']);
  });

  test('dead letters are told with the reason, sent again to where they were, and purged', async () => {
    const { headers, body } = request('d2', LARGE_PACKAGE_REQUESTS);
    await packager.publish(deadLetterMessage({ headers, body }, PACKAGE_REQUESTS, 'no docset in the path'));
    await apiServer.publish(request('d3', LARGE_PACKAGE_REQUESTS));
    await refuse(LARGE_PACKAGE_REQUESTS);
    await apiServer.publish({ destination: DELETE_REQUESTS, headers: {}, body: 'dumps/d4/', persistent: true });
    await refuse(DELETE_REQUESTS, { requeue: 'true' }, 21);
    const told = await waitUntil('all are there', async () => {
      const { deadLetters } = await status();
      return deadLetters.length === 3 && deadLetters;
    });
    expect(told.map(({ reason, from, whole }) => [reason, from, whole])).toEqual([
      ['no docset in the path', '/queue/docsets/package', true],
      ['refused by a consumer', '/queue/docsets/package/large', true],
      ['handed out too often: no consumer survived it', '/queue/docsets/delete', true],
    ]);
    for (const { since } of told) expect(Math.abs(Date.now() - Date.parse(since ?? ''))).toBeLessThan(120_000);
    use(server);
    expect(await asJson(() => runRedrive({ json: true }))).toEqual({ sent: 3, kept: [] });
    const [again] = await take(LARGE_PACKAGE_REQUESTS);
    expect(again?.headers['correlation-id']).toBe('d3');
    expect(again?.body).toBe(body);
    expect((await take(DELETE_REQUESTS))[0]?.body).toBe('dumps/d4/');
    expect((await take(PACKAGE_REQUESTS))[0]?.headers['correlation-id']).toBe('d2');
    expect((await status()).deadLetters).toEqual([]);
    await packager.publish(deadLetterMessage({ headers: {}, body: '?' }, eventsOf('9'), 'no such word'));
    use(server);
    expect(await asJson(() => runPurge({ json: true }))).toEqual({ deleted: 1 });
  });

  // Last: without the API it cannot take away its queues, which go by themselves.
  test(
    'without its HTTP API a check says what it could not see, and status says what is missing',
    async () => {
      use(server);
      delete process.env['BROKER_MANAGEMENT_URL'];
      const { right, findings } = await check();
      expect(right).toBe(true);
      const unseen = findings.filter(({ verdict }) => verdict === 'unproved');
      expect(unseen.length).toBeGreaterThan(5);
      for (const { found } of unseen) expect(found).toMatch(/BROKER_MANAGEMENT_URL is not set/);
      await expect(runStatus({})).rejects.toThrow(/BROKER_MANAGEMENT_URL is not set/);
    },
    LONG,
  );
});

describeOn('rabbitmq', 'adit queues check, beside RabbitMQ as it comes', () => {
  let server: RabbitMQ;
  beforeAll(async () => {
    server = await startRabbitMQ({ stock: true });
    // The accounts are there, and no more: each may do everything, as the one that it comes with.
    for (const [account, password] of Object.entries(server.passcodes)) {
      await server.ask(`users/${account}`, { password, tags: 'monitoring' });
      await server.ask(`permissions/%2F/${account}`, { configure: '.*', write: '.*', read: '.*' });
    }
  }, LONG);
  afterAll(() => server.close(), LONG);

  test(
    'it is told everything that is wrong with it',
    async () => {
      use(server);
      const { right, wrong, findings } = await check();
      expect(right).toBe(false);
      expect(process.exitCode).toBe(2);
      expect(wrong).toEqual([
        'the permanent queues are there, and requests reach them',
        'each account gets in, and nobody else',
        'each account may do what it has to',
        'no account may do more',
        'no event lives longer than it may, and its queue goes after it',
        'what a packager refuses is a dead letter, and dead letters expire',
        'a request that no packager survives is not handed out for ever',
      ]);
      const told = findings.map(({ found }) => found).join('\n');
      for (const fault of [
        'docsets.package is not there',
        'the exchange docsets is not there',
        'anybody gets in without a login',
        'the user guest',
        'packager can read a progress queue',
        'lives for ever',
        'it is handed out again at once',
        'It was handed out 100 times',
      ]) {
        expect(told).toContain(fault);
      }
    },
    LONG,
  );
});
