/** `adit queues status | redrive | purge` on the real broker. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { runPurge, runRedrive, runStatus } from '../../cli/queues-status.js';
import {
  DELETE_REQUESTS,
  deadLetterMessage,
  encodePackageRequest,
  eventsOf,
  openBroker,
  PACKAGE_REQUESTS,
  type Broker,
} from '../../queue-config/index.js';
import { connectStomp, describeOn, freePort, startActiveMQ, type ActiveMQ } from '../servers/index.js';
import { captureOutput } from './capture-output.js';

interface Status {
  permanent: { queue: string; statistics: { messages: number; consumers: number }; oldest?: string }[];
  progress: { queues: number; messages: number; consumers: number };
  deadLetters: { reason: string; from?: string; since?: string; whole: boolean }[];
  strays: number;
}

describeOn('activemq', 'adit queues, beside ActiveMQ', () => {
  let server: ActiveMQ;
  let apiServer: Broker;
  let packager: Broker;
  const before = { ...process.env };

  beforeAll(async () => {
    server = await startActiveMQ();
    process.env['BROKER_URL'] = `stomp://127.0.0.1:${server.stompPort}`;
    process.env['BROKER_OPERATOR_PASSCODE'] = server.passcodes.operator;
    apiServer = openBroker({ urls: server.url('api-server') });
    packager = openBroker({ urls: server.url('packager') });
  });
  afterAll(async () => {
    process.env = before;
    await Promise.all([apiServer.close(), packager.close()]);
    await server.close();
  });
  afterEach(async () => {
    process.exitCode = 0;
    await captureOutput(() => runPurge({ json: true }));
  });

  const asJson = async <T>(run: (options: { json: boolean }) => Promise<void>): Promise<T> =>
    JSON.parse(await captureOutput(() => run({ json: true }))) as T;
  const status = (): Promise<Status> => asJson(runStatus);
  const request = (dump: string) => ({
    destination: PACKAGE_REQUESTS,
    ...encodePackageRequest({ url: 'http://s/api/docsets/7?fmt=txt', attempt: 1, dump, docset: '7' }),
    persistent: true,
    expires: Date.now() + 60_000,
  });

  /** Takes requests as a packager of another make does, and refuses the first. */
  async function refuse(queue: string): Promise<void> {
    const peer = await connectStomp(server.url('packager'));
    await peer.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'client-individual' });
    await peer.request('NACK', { id: (await peer.message()).headers['ack'] ?? '' });
    await peer.disconnect();
  }

  async function take(queue: string): Promise<{ headers: Record<string, string>; body: string }> {
    const peer = await connectStomp(server.url('operator'));
    await peer.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'client-individual' });
    const message = await peer.message();
    await peer.request('ACK', { id: message.headers['ack'] ?? '' });
    await peer.disconnect();
    return message;
  }

  test('where the first address is down, the next one is asked', async () => {
    const url = process.env['BROKER_URL'];
    process.env['BROKER_URL'] = `stomp://127.0.0.1:${await freePort()},${url}`;
    try {
      expect((await status()).permanent).toHaveLength(4);
    } finally {
      process.env['BROKER_URL'] = url;
    }
  });

  test('what waits is told with its age, and the progress queues together', async () => {
    const sent = Date.now();
    await apiServer.publish(request('d1'));
    await packager.publish({ destination: eventsOf('7'), headers: {}, body: 'Accepted.', persistent: false });
    await packager.publish({ destination: eventsOf('8'), headers: {}, body: 'Accepted.', persistent: false });
    const { permanent, progress, deadLetters, strays } = await status();
    expect(permanent.map(({ queue, statistics }) => [queue, statistics.messages, statistics.consumers])).toEqual([
      ['/queue/docsets/package', 1, 0],
      ['/queue/docsets/package/large', 0, 0],
      ['/queue/docsets/delete', 0, 0],
      ['/queue/docsets/dead', 0, 0],
    ]);
    expect(Math.abs(Date.parse(permanent[0]?.oldest ?? '') - sent)).toBeLessThan(5_000);
    expect(progress).toEqual({ queues: 2, messages: 2, consumers: 0 });
    expect([deadLetters, strays]).toEqual([[], 0]);
    // Looking took nothing.
    expect((await take(PACKAGE_REQUESTS)).headers['correlation-id']).toBe('d1');
    expect(await captureOutput(() => runStatus({}))).toContain('/queue/package/… (2)\t2\t0');
  });

  test('dead letters are told with the reason, and sent again as they were to where they were', async () => {
    const { headers, body } = request('d2');
    const received = {
      ...headers,
      'message-id': 'ID:1',
      subscription: 's',
      ack: 'a',
      expires: '5',
      redelivered: 'true',
    };
    await packager.publish(deadLetterMessage({ headers: received, body }, PACKAGE_REQUESTS, 'no docset in the path'));
    await apiServer.publish({ destination: DELETE_REQUESTS, headers: {}, body: 'dumps/d3/', persistent: true });
    await refuse(DELETE_REQUESTS);
    const told = await status();
    expect(told.deadLetters).toEqual([
      expect.objectContaining({ reason: 'no docset in the path', from: '/queue/docsets/package', whole: true }),
      expect.objectContaining({ from: '/queue/docsets/delete', whole: true }),
    ]);
    const since = told.deadLetters.map((letter) => Date.now() - Date.parse(letter.since ?? ''));
    expect(Math.max(...since.map(Math.abs))).toBeLessThan(60_000);
    expect(await asJson(runRedrive)).toEqual({ sent: 2, kept: [] });
    const again = await take(PACKAGE_REQUESTS);
    expect(again.body).toBe(body);
    expect(again.headers).toMatchObject(headers);
    expect(again.headers['redelivered']).toBeUndefined();
    expect((await take(DELETE_REQUESTS)).body).toBe('dumps/d3/');
    expect((await status()).deadLetters).toEqual([]);
  });

  test('a dead letter that is not whole stays with its reason and its time, and the exit code says so', async () => {
    const long = 'x'.repeat(100_000);
    await packager.publish(deadLetterMessage({ headers: {}, body: long }, PACKAGE_REQUESTS, 'too long'));
    await apiServer.publish({ destination: PACKAGE_REQUESTS, headers: {}, body: 'no URL', persistent: true });
    await refuse(PACKAGE_REQUESTS);
    const told = await status();
    const { sent, kept } = await asJson<{ sent: number; kept: { why: string }[] }>(runRedrive);
    expect([sent, kept.map(({ why }) => why), process.exitCode]).toEqual([
      0,
      ['only the beginning of it was kept', 'it is no request, and nothing says which queue it was on'],
      2,
    ]);
    const { deadLetters } = await status();
    expect(deadLetters.map(({ reason, since }) => [reason, since])).toEqual([
      ['too long', told.deadLetters[0]?.since],
      [expect.any(String), undefined],
    ]);
  });

  test('250 dead letters are purged, more than the broker hands out unacknowledged', async () => {
    for (let n = 0; n < 250; n += 1) {
      await packager.publish(deadLetterMessage({ headers: {}, body: `${n}` }, eventsOf('9'), `reason ${n}`));
    }
    expect((await status()).deadLetters).toHaveLength(250);
    expect(await asJson(runPurge)).toEqual({ deleted: 250 });
    expect((await server.queue('/queue/docsets/dead'))?.size).toBe(0);
  });

  test('without a passcode, or with a wrong one, it says which', async () => {
    const right = process.env['BROKER_OPERATOR_PASSCODE'];
    try {
      delete process.env['BROKER_OPERATOR_PASSCODE'];
      await expect(runStatus({})).rejects.toThrow(/BROKER_OPERATOR_PASSCODE is not set/);
      process.env['BROKER_OPERATOR_PASSCODE'] = 'wr@ng:/';
      await expect(runStatus({})).rejects.toThrow(/refused.*password is invalid/);
    } finally {
      process.env['BROKER_OPERATOR_PASSCODE'] = right;
    }
  });
});
