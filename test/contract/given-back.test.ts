/**
 * RabbitMQ keeps for a drain what it was just sending when the subscription ended. The line to it is slow to tell of an end here, so
 * that nothing comes back by the end of a connection in time.
 */
import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { eventsOf, openBroker } from '../../queue-config/index.js';
import { connectStomp, describeOn, startRabbitMQ, startTcpProxy } from '../servers/index.js';

const TRIALS = 60;
const BEHIND = Array.from({ length: 20 }, (_, number) => String(number));
const LINGER = 500;

describeOn('rabbitmq', 'the end of a drain, on RabbitMQ', () => {
  test('what came behind it is found by the next one at once, and in order', async () => {
    const server = await startRabbitMQ();
    const address = new URL(server.url('api-server'));
    const proxy = await startTcpProxy(Number(address.port), 0, { lingerMs: LINGER });
    address.port = String(proxy.port);
    const drainer = openBroker({ urls: address.href });
    try {
      const writer = await connectStomp(server.url('packager'));
      let refused = 0;
      proxy.watch((text) => (refused += text.split('There is no current subscription').length - 1));
      for (let trial = 0; trial < TRIALS; trial++) {
        const id = randomUUID();
        const destination = `/queue/package.${id}`;
        const seen: string[] = [];
        const into = (batch: readonly { body: string }[]): Promise<void> =>
          Promise.resolve(void seen.push(...batch.map(({ body }) => body)));
        await writer.request('SEND', { destination }, 'first');
        // All of them are under way while the drain ends.
        const isWritten = new Promise<void>((resolve, reject) => {
          const first = drainer.drain(eventsOf(id), async (batch) => {
            await into(batch);
            const [last = '', ...others] = [...BEHIND].reverse();
            for (const text of others.reverse()) writer.write('SEND', { destination }, text);
            first.then(() => writer.request('SEND', { destination }, last)).then(resolve, reject);
          });
          first.catch(reject);
        });
        await isWritten;
        await drainer.drain(eventsOf(id), into);
        expect(seen).toEqual(['first', ...BEHIND]);
      }
      expect(refused).toBeGreaterThan(0);
      writer.destroy();
    } finally {
      await drainer.close();
      await proxy.close();
      await server.close();
    }
  }, 120_000);
});
