/** What `queue-config/activemq/activemq.xml` promises, on the real broker, through a client of our own. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { deadLetterMessage, eventsOf, openBroker } from '../../queue-config/index.js';
import {
  connectStomp,
  describeOn,
  startActiveMQ,
  waitUntil,
  type ActiveMQ,
  type ActiveMQAccount,
  type StompPeer,
} from './index.js';

const REQUESTS = '/queue/docsets/package';
const DEAD = '/queue/docsets/dead';
const DAY = 86_400_000;

for (const [server, flavour] of [
  ['activemq', 'maven'],
  ['activemq-debian', 'debian'],
] as const) {
  describeOn(server, `the configuration of ActiveMQ (${flavour})`, () => {
    let broker: ActiveMQ;
    const peers: StompPeer[] = [];
    let docset = 0;

    beforeAll(async () => {
      broker = await startActiveMQ({ flavour, idleMs: 5_000, sweepMs: 500, expiryMs: 500 });
    });
    afterAll(async () => {
      for (const peer of peers) peer.destroy();
      await broker.close();
    });

    async function as(account: ActiveMQAccount): Promise<StompPeer> {
      const peer = await connectStomp(broker.url(account));
      peers.push(peer);
      return peer;
    }

    const nextQueue = (): string => `/queue/package/${++docset}`;

    test('a wrong passcode and no login at all are refused', async () => {
      const wrong = broker.url('packager').replace(broker.passcodes.packager, 'wrong');
      await expect(connectStomp(wrong)).rejects.toThrow(/invalid/i);
      await expect(connectStomp(`stomp://127.0.0.1:${broker.stompPort}`)).rejects.toThrow();
    });

    test('each account may do what the contract gives it, and nothing else', async () => {
      const events = nextQueue();
      const may: [ActiveMQAccount, 'SEND' | 'SUBSCRIBE', string][] = [
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
        ['api-server', 'SEND', '/topic/package/5'],
        ['api-server', 'SEND', '/queue/ActiveMQ.Statistics.Broker'],
        ['packager', 'SEND', REQUESTS],
        ['packager', 'SEND', '/queue/docsets/package/large'],
        ['packager', 'SEND', '/queue/docsets/delete'],
        ['packager', 'SUBSCRIBE', events],
        ['packager', 'SUBSCRIBE', '/queue/package/>'],
        ['packager', 'SUBSCRIBE', DEAD],
        ['packager', 'SUBSCRIBE', '/queue/elsewhere'],
      ];
      const attempt = async ([account, command, destination]: (typeof may)[number]): Promise<string> => {
        const peer = await connectStomp(broker.url(account));
        try {
          const headers = { destination, ...(command === 'SUBSCRIBE' ? { id: '1', ack: 'client-individual' } : {}) };
          await peer.request(command, { ...headers, expires: String(Date.now() + 1000) });
          return 'done';
        } catch (error) {
          return String(error);
        } finally {
          peer.destroy();
        }
      };
      for (const right of may) expect([...right, await attempt(right)]).toEqual([...right, 'done']);
      for (const right of mayNot) {
        expect([...right, await attempt(right)]).toEqual([...right, expect.stringMatching(/not authorized/)]);
      }
    });

    test('an event that nobody reads vanishes, the empty queue after it, and neither is a dead letter', async () => {
      const queue = nextQueue();
      const packager = await as('packager');
      // Long enough to be seen on a slow machine.
      const expires = String(Date.now() + 10_000);
      await packager.request('SEND', { destination: queue, expires }, 'Progress: 5%');
      await packager.request('SEND', { destination: queue, expires, persistent: 'true' }, 'Complete: http://s/5');
      expect(await broker.queue(queue)).toMatchObject({ size: 2, consumers: 0 });
      const left = await waitUntil('the events are gone', async () => {
        const found = await broker.queue(queue);
        return found?.size === 0 && found;
      });
      expect(left).toMatchObject({ expired: 2 });
      await waitUntil('the queue is gone', async () => (await broker.queue(queue)) === undefined);
      expect(await broker.queue('ActiveMQ.DLQ')).toBeUndefined();
      expect(await broker.queue(DEAD)).toMatchObject({ size: 0 });
    });

    test('a drained queue goes, a permanent one stays', async () => {
      const queue = nextQueue();
      await (await as('packager')).request('SEND', { destination: queue }, 'Accepted.');
      const reader = await as('api-server');
      await reader.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'auto' });
      expect((await reader.message()).body).toBe('Accepted.');
      expect(await broker.consumerCount(queue)).toBe(1);
      reader.destroy();
      await waitUntil('the queue is gone', async () => (await broker.queue(queue)) === undefined);
      expect(await broker.queue(REQUESTS)).toMatchObject({ size: 0 });
    });

    test('no event lives longer than a day, whether it says so or not; a dead letter of ours keeps its 14 days', async () => {
      const queue = nextQueue();
      const packager = await as('packager');
      const month = String(Date.now() + 30 * DAY);
      await packager.request('SEND', { destination: queue }, 'Accepted.');
      await packager.request('SEND', { destination: queue, expires: month }, 'Progress: 5%');
      await packager.request('SEND', { destination: queue, expires: String(Date.now() + 0.5 * DAY) }, 'Progress: 9%');
      const reader = await as('api-server');
      await reader.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'auto' });
      for (const days of [1, 1, 0.5]) {
        const { headers } = await reader.message();
        expect((Number(headers['expires']) - Date.now()) / DAY).toBeCloseTo(days, 2);
      }
      const port = openBroker({ urls: broker.url('packager') });
      try {
        await port.publish(deadLetterMessage({ headers: {}, body: '?' }, eventsOf('5'), 'cannot be read'));
      } finally {
        await port.close();
      }
      const operator = await as('operator');
      await operator.request('SUBSCRIBE', { id: '1', destination: DEAD, ack: 'auto' });
      const { headers } = await operator.message();
      expect((Number(headers['expires']) - Date.now()) / DAY).toBeCloseTo(14, 2);
      operator.destroy();
    });

    test('an event lives as long as its sender means, though his clock is ten minutes behind or ahead', async () => {
      const queue = nextQueue();
      const packager = await as('packager');
      for (const ahead of [-600_000, 600_000]) {
        const timestamp = Date.now() + ahead;
        const headers = { timestamp: String(timestamp), expires: String(timestamp + 60_000) };
        await packager.request('SEND', { destination: queue, ...headers }, 'Accepted.');
      }
      const reader = await as('api-server');
      await reader.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'auto' });
      for (const { headers } of [await reader.message(), await reader.message()]) {
        expect(Math.abs(Number(headers['expires']) - Date.now() - 60_000)).toBeLessThan(30_000);
      }
    });

    test('persistent and other events keep their order', async () => {
      const queue = nextQueue();
      const packager = await as('packager');
      const bodies = Array.from({ length: 300 }, (_, index) => String(index));
      for (const body of bodies) {
        packager.write('SEND', { destination: queue, ...(Number(body) % 3 === 0 ? { persistent: 'true' } : {}) }, body);
      }
      await packager.request('SEND', { destination: queue }, 'last');
      const reader = await as('api-server');
      await reader.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'auto' });
      for (const body of [...bodies, 'last']) expect((await reader.message()).body).toBe(body);
    });

    test('the drain by a fence ends, with two drainers and a packager that goes on writing', async () => {
      const queue = nextQueue();
      const packager = await as('packager');
      const sent = 500;
      const writing = (async () => {
        for (let n = 0; n < sent; n += 1) {
          await packager.request(
            'SEND',
            { destination: queue, ...(n % 5 === 0 ? { persistent: 'true' } : {}) },
            String(n),
          );
        }
      })();
      const seen: string[] = [];
      let written = false;
      const drainer = async (): Promise<void> => {
        while (!written) seen.push(...(await drain(queue)));
      };
      await Promise.all([drainer(), drainer(), writing.then(() => void (written = true))]);
      seen.push(...(await drain(queue)));
      expect(seen.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: sent }, (_, n) => n));
      expect(await broker.queue(queue)).toMatchObject({ size: 0, consumers: 0 });
    });

    /** The recipe of the drain: fence, selector, exclusive consumer, on a connection of its own. */
    async function drain(queue: string): Promise<string[]> {
      const peer = await connectStomp(broker.url('api-server'));
      const fence = randomUUID();
      const bodies: string[] = [];
      try {
        await peer.request('SEND', { destination: queue, fence, expires: String(Date.now() + 10_000) });
        peer.write('SUBSCRIBE', {
          id: '1',
          destination: queue,
          ack: 'client',
          'activemq.exclusive': 'true',
          selector: `fence IS NULL OR fence = '${fence}'`,
        });
        for (;;) {
          const { headers, body } = await peer.message();
          const own = headers['fence'] === fence;
          if (!own) bodies.push(body);
          if (own || bodies.length % 100 === 0) await peer.request('ACK', { id: headers['ack'] ?? '' });
          if (own) return bodies;
        }
      } finally {
        await peer.disconnect();
      }
    }

    test('a request whose packager dies goes to the next one, flagged as redelivered', async () => {
      await (
        await as('api-server')
      ).request('SEND', { destination: REQUESTS, persistent: 'true' }, 'http://s/docsets/7');
      const first = await as('packager');
      await first.request('SUBSCRIBE', { id: '1', destination: REQUESTS, ack: 'client-individual' });
      expect((await first.message()).body).toBe('http://s/docsets/7');
      const second = await as('packager');
      await second.request('SUBSCRIBE', { id: '1', destination: REQUESTS, ack: 'client-individual' });
      first.destroy();
      const { headers, body } = await second.message();
      expect([body, headers['redelivered']]).toEqual(['http://s/docsets/7', 'true']);
      await second.request('ACK', { id: headers['ack'] ?? '' });
      second.destroy();
    });

    test('a request that a packager refuses is a dead letter at once, kept for 14 days; one that expired is not', async () => {
      const sender = await as('api-server');
      const expires = String(Date.now() + 200);
      await sender.request('SEND', { destination: REQUESTS, persistent: 'true', expires }, 'expired');
      await waitUntil('the request has expired', async () => (await broker.queue(REQUESTS))?.size === 0);
      await sender.request('SEND', { destination: REQUESTS, persistent: 'true' }, 'refused');
      const packager = await as('packager');
      await packager.request('SUBSCRIBE', { id: '1', destination: REQUESTS, ack: 'client-individual' });
      await packager.request('NACK', { id: (await packager.message()).headers['ack'] ?? '' });
      const operator = await as('operator');
      await operator.request('SUBSCRIBE', { id: '1', destination: DEAD, ack: 'auto' });
      const { headers, body } = await operator.message();
      expect(body).toBe('refused');
      expect((Number(headers['expires']) - Date.now()) / 86_400_000).toBeCloseTo(14, 1);
      expect(await broker.queue(DEAD)).toMatchObject({ size: 0 });
      packager.destroy();
    });

    test('more unread events than memory holds hold up nobody, and expire as others do', async () => {
      const small = await startActiveMQ({ flavour, expiryMs: 500, heapMiB: 128, settings: { memoryPercent: 40 } });
      try {
        const packager = await connectStomp(small.url('packager'));
        const name = nextQueue();
        const body = 'x'.repeat(20_000);
        for (let sent = 0; sent < 5_000; sent++) {
          const expires = String(Date.now() + 30_000);
          await packager.request('SEND', { destination: name, expires }, body);
        }
        // Its memory would be full three times over.
        const server = await connectStomp(small.url('api-server'));
        await server.request('SEND', { destination: REQUESTS, persistent: 'true' }, 'http://server/api/docsets/1');
        await packager.request('SUBSCRIBE', { id: '1', destination: REQUESTS, ack: 'auto' });
        expect((await packager.message()).body).toBe('http://server/api/docsets/1');
        server.destroy();
        packager.destroy();
        const port = openBroker({ urls: small.url('api-server') });
        const limit = { messages: 100, characters: Infinity };
        const read = await port.drain(eventsOf(String(docset)), () => Promise.resolve(), { limit, timeoutMs: 30_000 });
        expect(read.isComplete).toBe(false);
        expect(read.drained).toBeGreaterThanOrEqual(100);
        await port.close();
        const isEmpty = async (): Promise<boolean> => ((await small.queue(name))?.size ?? 0) === 0;
        await waitUntil('they have expired', isEmpty, { deadlineMs: 120_000 });
      } finally {
        await small.close();
      }
    }, 240_000);

    test('a journal that was full has room soon after it was emptied, though a request from before still waits', async () => {
      const small = await startActiveMQ({ flavour, settings: { disk: '32 mb' } });
      try {
        const send = await connectStomp(small.url('operator'));
        const filling = '/queue/docsets/check/filling';
        await send.request('SEND', { destination: REQUESTS, persistent: 'true' }, 'http://server/api/docsets/1');
        let sent = 0;
        const fill = async (): Promise<never> => {
          const body = 'x'.repeat(512 * 1024);
          for (; ; sent++) await send.request('SEND', { destination: filling, persistent: 'true' }, body);
        };
        await expect(fill()).rejects.toThrow('store is Full');
        send.destroy();
        const take = await connectStomp(small.url('operator'));
        await take.request('SUBSCRIBE', { id: '1', destination: filling, ack: 'auto' });
        for (; sent > 0; sent--) await take.message(30_000);
        take.destroy();
        // With ActiveMQ's own settings that is after five minutes.
        const isTaken = async (): Promise<boolean> => {
          const peer = await connectStomp(small.url('packager'));
          await peer.request('SEND', { destination: nextQueue(), persistent: 'true' }, 'Complete: https://store/5');
          peer.destroy();
          return true;
        };
        await waitUntil('an event is taken', isTaken, { deadlineMs: 90_000 });
      } finally {
        await small.close();
      }
    }, 240_000);

    test('heart-beats are agreed on', async () => {
      const peer = await connectStomp(broker.url('api-server'), { headers: { 'heart-beat': '0,2000' } });
      expect(peer.connected.headers['heart-beat']).toBe('2000,0');
      peer.destroy();
    });

    if (flavour === 'maven') {
      test('WebSocket reaches the same queues, with the same rights', async () => {
        const queue = nextQueue();
        const packager = await connectStomp(broker.wsUrl('packager'));
        await packager.request('SEND', { destination: queue }, 'Accepted.');
        await expect(packager.request('SEND', { destination: REQUESTS })).rejects.toThrow(/not authorized/);
        packager.destroy();
        const reader = await as('api-server');
        await reader.request('SUBSCRIBE', { id: '1', destination: queue, ack: 'auto' });
        expect((await reader.message()).body).toBe('Accepted.');
      });
    }
  });
}
