/** What the rendered `broker.xml` of Artemis promises, on the real broker, through a client of our own. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  deadLetterMessage,
  eventsOf,
  openBroker,
  parseBrokerUrls,
  PACKAGE_REQUESTS,
} from '../../queue-config/index.js';
import { openManagement, type ManagedQueue, type Management } from '../../queue-config/artemis/management.js';
import type { Account } from '../../queue-config/operations/accounts.js';
import { connect, type StompConnection } from '../../queue-config/stomp-connection.js';
import { connectStomp, describeOn, startArtemis, waitUntil, type Artemis, type StompPeer } from './index.js';

const REQUESTS = '/queue/docsets/package';
const DEAD = '/queue/docsets/dead';
const DAY = 86_400_000;
const PATIENT = { deadlineMs: 60_000 };

describeOn('artemis', 'the configuration of Artemis', () => {
  let broker: Artemis;
  let connection: StompConnection;
  let management: Management;
  const peers: StompPeer[] = [];
  let docset = 0;

  beforeAll(async () => {
    broker = await startArtemis({ settings: { idleQueueMs: 1_000, sweepMs: 300, expiryMs: 300 } });
    const [address] = parseBrokerUrls(broker.url('stomp', 'operator'));
    if (address === undefined) throw new Error('no address');
    connection = await connect(address, { connectTimeoutMs: 30_000, receiptTimeoutMs: 30_000, heartbeatMs: 30_000 });
    management = await openManagement(connection);
  }, 120_000);
  afterAll(async () => {
    for (const peer of peers) peer.destroy();
    connection.drop(new Error('the test is over'));
    await broker.close();
  });

  async function as(account: Account): Promise<StompPeer> {
    const peer = await connectStomp(broker.url('stomp', account));
    peers.push(peer);
    return peer;
  }

  async function queue(name: string): Promise<ManagedQueue | undefined> {
    const bare = name.replace('/queue/', '');
    let found: ManagedQueue | undefined;
    await management.queues(bare, (queues) => (found ??= queues.find((each) => each.name === bare)));
    return found;
  }

  const nextQueue = (): string => `/queue/package/${++docset}`;

  test('no login, or a wrong passcode, is refused', async () => {
    const wrong = broker.url('stomp', 'packager').replace(broker.passcodes.packager, 'wrong');
    await expect(connectStomp(wrong)).rejects.toThrow();
    await expect(connectStomp(`stomp://127.0.0.1:${broker.port}`)).rejects.toThrow();
  });

  test('each account may do what the contract gives it, and nothing else', async () => {
    const events = nextQueue();
    const may: [Account, 'SEND' | 'SUBSCRIBE', string][] = [
      ['api-server', 'SEND', REQUESTS],
      ['api-server', 'SEND', '/queue/docsets/package/large'],
      ['api-server', 'SEND', '/queue/docsets/delete'],
      ['api-server', 'SEND', DEAD],
      ['api-server', 'SUBSCRIBE', nextQueue()],
      ['api-server', 'SEND', events],
      ['packager', 'SUBSCRIBE', REQUESTS],
      ['packager', 'SUBSCRIBE', '/queue/docsets/package/large'],
      ['packager', 'SUBSCRIBE', '/queue/docsets/delete'],
      ['packager', 'SEND', DEAD],
      ['packager', 'SEND', nextQueue()],
      ['operator', 'SUBSCRIBE', DEAD],
    ];
    const mayNot: typeof may = [
      ['api-server', 'SUBSCRIBE', REQUESTS],
      ['api-server', 'SUBSCRIBE', DEAD],
      ['api-server', 'SEND', '/queue/elsewhere'],
      ['api-server', 'SEND', 'activemq.management'],
      ['packager', 'SEND', REQUESTS],
      ['packager', 'SEND', '/queue/docsets/package/large'],
      ['packager', 'SEND', '/queue/docsets/delete'],
      ['packager', 'SUBSCRIBE', events],
      ['packager', 'SUBSCRIBE', '/queue/package/#'],
      ['packager', 'SUBSCRIBE', DEAD],
      ['packager', 'SEND', 'activemq.management'],
    ];
    const attempt = async ([account, command, destination]: (typeof may)[number]): Promise<string> => {
      const peer = await connectStomp(broker.url('stomp', account));
      try {
        const headers = { destination, ...(command === 'SUBSCRIBE' ? { id: '1', ack: 'client-individual' } : {}) };
        await peer.request(command, { ...headers, expires: String(Date.now() + 1000) });
        return 'done';
      } catch {
        return 'refused';
      } finally {
        peer.destroy();
      }
    };
    for (const right of may) expect([...right, await attempt(right)]).toEqual([...right, 'done']);
    for (const right of mayNot) expect([...right, await attempt(right)]).toEqual([...right, 'refused']);
  });

  test('an event that nobody reads vanishes, the empty queue after it, and neither is a dead letter', async () => {
    const name = nextQueue();
    const packager = await as('packager');
    const expires = String(Date.now() + 1_000);
    await packager.request('SEND', { destination: name, expires }, 'Progress: 5%');
    await packager.request('SEND', { destination: name, expires, persistent: 'true' }, 'Complete: http://s/5');
    expect(await queue(name)).toMatchObject({ consumers: 0 });
    await waitUntil('the queue is gone', async () => (await queue(name)) === undefined, PATIENT);
    expect(await queue(DEAD)).toMatchObject({ messages: 0 });
    for (const stray of ['DLQ', 'ExpiryQueue']) expect(await queue(stray)).toBeUndefined();
  });

  test('a drained queue goes, a permanent one stays', async () => {
    const name = nextQueue();
    await (await as('packager')).request('SEND', { destination: name }, 'Accepted.');
    const reader = await as('api-server');
    await reader.request('SUBSCRIBE', { id: '1', destination: name, ack: 'auto' });
    expect((await reader.message(60_000)).body).toBe('Accepted.');
    reader.destroy();
    await waitUntil('the queue is gone', async () => (await queue(name)) === undefined, PATIENT);
    expect(await queue(REQUESTS)).toMatchObject({ messages: 0 });
  });

  test('no event lives longer than a day, whether it says so or not; a dead letter of ours keeps its 14 days', async () => {
    const name = nextQueue();
    const packager = await as('packager');
    const month = String(Date.now() + 30 * DAY);
    await packager.request('SEND', { destination: name }, 'Accepted.');
    await packager.request('SEND', { destination: name, expires: month }, 'Progress: 5%');
    await packager.request('SEND', { destination: name, expires: String(Date.now() + 0.5 * DAY) }, 'Progress: 9%');
    const reader = await as('api-server');
    await reader.request('SUBSCRIBE', { id: '1', destination: name, ack: 'auto' });
    for (const days of [1, 1, 0.5]) {
      const { headers } = await reader.message(60_000);
      expect((Number(headers['expires']) - Date.now()) / DAY).toBeCloseTo(days, 1);
    }
    const port = openBroker({ urls: broker.url('stomp', 'packager') });
    await port.publish(deadLetterMessage({ headers: {}, body: 'x' }, PACKAGE_REQUESTS, 'no URL'));
    await port.close();
    const operator = await as('operator');
    await operator.request('SUBSCRIBE', { id: '1', destination: DEAD, ack: 'auto' });
    const { headers } = await operator.message(60_000);
    expect((Number(headers['expires']) - Date.now()) / DAY).toBeCloseTo(14, 1);
  });

  test('a drain may break off more often than a request is handed out, and the event is still there', async () => {
    const port = openBroker({ urls: broker.url('stomp', 'operator') });
    const events = eventsOf(String(++docset));
    await port.publish({ destination: events, headers: {}, body: 'Accepted.', persistent: false });
    for (let attempt = 0; attempt < 12; attempt += 1) {
      await expect(port.drain(events, () => Promise.reject(new Error('no database')))).rejects.toThrow('no database');
    }
    const { drained } = await port.drain(events, () => Promise.resolve());
    expect(drained).toBe(1);
    await port.close();
  });

  test('heart-beats are agreed on', async () => {
    const peer = await connectStomp(broker.url('stomp', 'api-server'), { headers: { 'heart-beat': '0,2000' } });
    expect(Number(peer.connected.headers['heart-beat']?.split(',')[0])).toBeGreaterThan(0);
    peer.destroy();
  });
});

describeOn('artemis', 'two of Artemis on one folder', () => {
  test('the one that waits serves when the other is killed, with all that was confirmed, and goes on when it is back', async () => {
    const primary = await startArtemis({ settings: { pair: 'primary' } });
    let backup: Artemis | undefined;
    try {
      backup = await startArtemis({ settings: { pair: 'backup' }, beside: primary });
      const port = openBroker({ urls: `${primary.url('stomp', 'operator')},${backup.url('stomp', 'operator')}` });
      const isServing = async (broker: Artemis): Promise<boolean> =>
        connectStomp(broker.url('stomp', 'operator')).then(
          async (peer) => (await peer.disconnect(), true),
          () => false,
        );
      expect(await isServing(backup)).toBe(false);
      const request = { destination: PACKAGE_REQUESTS, headers: {}, persistent: true };
      await port.publish({ ...request, body: 'before' });
      await primary.kill();
      const other = backup;
      await waitUntil('the backup serves', () => isServing(other), PATIENT);
      await port.publish({ ...request, body: 'after' });
      await primary.restart();
      expect(await isServing(primary)).toBe(false);
      const taken: string[] = [];
      port.consume(PACKAGE_REQUESTS, { prefetch: 1 }, async (delivery) => {
        await delivery.ack();
        taken.push(delivery.message.body);
      });
      await waitUntil('both are taken', () => taken.length === 2, PATIENT);
      expect(taken).toEqual(['before', 'after']);
      await port.close();
    } finally {
      await backup?.close();
      await primary.close();
    }
  }, 180_000);
});
