/** `adit queues status | redrive | purge` beside Artemis. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { runPurge, runRedrive, runStatus } from '../../cli/queues-status.js';
import {
  deadLetterMessage,
  encodePackageRequest,
  eventsOf,
  LARGE_PACKAGE_REQUESTS,
  openBroker,
  PACKAGE_REQUESTS,
  type Broker,
} from '../../queue-config/index.js';
import { connectStomp, describeOn, startArtemis, waitUntil, type Artemis } from '../servers/index.js';
import { captureOutput } from './capture-output.js';

interface Status {
  permanent: { queue: string; statistics: { messages: number; consumers: number }; oldest?: string }[];
  progress: { queues: number; messages: number; consumers: number };
  deadLetters: { reason: string; from?: string; since?: string; whole: boolean }[];
  strays: number;
}

describeOn('artemis', 'adit queues, beside Artemis', () => {
  let server: Artemis;
  let operator: Broker;
  const before = { ...process.env };

  beforeAll(async () => {
    server = await startArtemis();
    process.env['BROKER_URL'] = server.url('stomp', 'operator');
    process.env['BROKER_OPERATOR_PASSCODE'] = server.passcodes.operator;
    operator = openBroker({ urls: server.url('stomp', 'operator') });
  });
  afterAll(async () => {
    process.env = before;
    await operator.close();
    await server.close();
  });
  afterEach(() => {
    process.exitCode = 0;
  });

  const asJson = async <T>(run: (options: { json: boolean }) => Promise<void>): Promise<T> =>
    JSON.parse(await captureOutput(() => run({ json: true }))) as T;
  const status = (): Promise<Status> => asJson(runStatus);
  const request = (dump: string) => ({
    ...encodePackageRequest({ url: 'http://s/api/docsets/7?fmt=txt', attempt: 1, dump, docset: '7' }),
    persistent: true,
    expires: Date.now() + 600_000,
  });

  /** Takes the next message of a queue, as a packager that then dies. */
  async function takeAndDie(queue: string): Promise<Record<string, string>> {
    const peer = await connectStomp(server.url('stomp', 'packager'));
    await peer.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'client-individual' });
    const { headers } = await peer.message(60_000);
    peer.destroy();
    return headers;
  }

  test('what waits is told with its age, the progress queues together, and looking takes nothing', async () => {
    const sent = Date.now();
    await operator.publish({ destination: PACKAGE_REQUESTS, ...request('d1') });
    await operator.publish({ destination: eventsOf('7'), headers: {}, body: 'Accepted.', persistent: false });
    await operator.publish({ destination: eventsOf('8'), headers: {}, body: 'Accepted.', persistent: false });
    const { permanent, progress, deadLetters, strays } = await status();
    expect(permanent.map(({ queue, statistics }) => [queue, statistics.messages, statistics.consumers])).toEqual([
      ['/queue/docsets/package', 1, 0],
      ['/queue/docsets/package/large', 0, 0],
      ['/queue/docsets/delete', 0, 0],
      ['/queue/docsets/dead', 0, 0],
    ]);
    expect(Math.abs(Date.parse(permanent[0]?.oldest ?? '') - sent)).toBeLessThan(60_000);
    expect(progress).toEqual({ queues: 2, messages: 2, consumers: 0 });
    expect([deadLetters, strays]).toEqual([[], 0]);
    expect(await takeAndDie(PACKAGE_REQUESTS)).toMatchObject({ 'correlation-id': 'd1', redelivered: 'false' });
  });

  test('dead letters are told with the reason and stay; redriven, they are as they were; purged, they are gone', async () => {
    const { headers, body } = request('d2');
    const read = { headers: { ...headers, 'message-id': '1', ack: 'a' }, body };
    await operator.publish(deadLetterMessage(read, LARGE_PACKAGE_REQUESTS, 'no docset in the path'));
    for (let look = 0; look < 2; look += 1) {
      expect((await status()).deadLetters).toEqual([
        expect.objectContaining({ reason: 'no docset in the path', from: LARGE_PACKAGE_REQUESTS, whole: true }),
      ]);
    }
    expect(await asJson(runRedrive)).toEqual({ sent: 1, kept: [] });
    expect(await takeAndDie(LARGE_PACKAGE_REQUESTS)).toMatchObject(headers);
    for (let n = 0; n < 3; n += 1)
      await operator.publish(deadLetterMessage({ headers: {}, body: 'x' }, eventsOf('9'), 'r'));
    expect(await asJson(runPurge)).toEqual({ deleted: 3 });
    expect((await status()).deadLetters).toEqual([]);
  });

  test('a request on which ten packagers died is a dead letter that says so and knows its queue', async () => {
    await operator.drain(LARGE_PACKAGE_REQUESTS, () => Promise.resolve());
    await operator.publish({ destination: LARGE_PACKAGE_REQUESTS, ...request('d3') });
    for (let died = 0; died < 10; died += 1) await takeAndDie(LARGE_PACKAGE_REQUESTS);
    const letters = await waitUntil('it is a dead letter', async () => {
      const { deadLetters } = await status();
      return deadLetters.length > 0 && deadLetters;
    });
    expect(letters).toEqual([
      expect.objectContaining({
        reason: 'handed out too often: no consumer survived it',
        from: LARGE_PACKAGE_REQUESTS,
        whole: true,
      }),
    ]);
    expect(await asJson(runRedrive)).toEqual({ sent: 1, kept: [] });
  });
});
