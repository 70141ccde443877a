/** On RabbitMQ what belongs to a delivery goes over a connection of the delivery's own, which may fail alone. */
import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { eventsOf, openBroker, PACKAGE_REQUESTS, type OutgoingMessage } from '../../queue-config/index.js';
import { describeOn, startRabbitMQ, startTcpProxy, waitUntil } from '../servers/index.js';

describeOn('rabbitmq', 'the connection of a delivery, on RabbitMQ', () => {
  test('is opened anew where it was lost, and the first try to open it anew failed', async () => {
    const server = await startRabbitMQ();
    const address = new URL(server.url('packager'));
    const proxy = await startTcpProxy(Number(address.port));
    address.port = String(proxy.port);
    const packager = openBroker({ urls: address.href });
    const apiServer = openBroker({ urls: server.url('api-server') });
    const events = eventsOf(randomUUID());
    const event = (body: string): OutgoingMessage => ({
      destination: events,
      headers: {},
      body,
      persistent: true,
      expires: Date.now() + 600_000,
    });
    let tries = 0;
    try {
      await apiServer.publish({ destination: PACKAGE_REQUESTS, headers: {}, body: 'work', persistent: true });
      const done = new Promise<unknown>((resolve, reject) => {
        packager.consume(PACKAGE_REQUESTS, { prefetch: 1 }, async (delivery) => {
          await delivery.publish(event('before'));
          proxy.cutNewest();
          proxy.refuseNext();
          const isTaken = async () => {
            tries += 1;
            await delivery.publish(event('after'));
            return true;
          };
          await waitUntil('an event is taken again', isTaken).then(resolve, reject);
          await delivery.ack();
        });
      });
      await done;
      const seen: string[] = [];
      await apiServer.drain(events, (batch) => Promise.resolve(void seen.push(...batch.map(({ body }) => body))));
      expect(seen).toEqual(['before', 'after']);
      expect(tries).toBeGreaterThan(1);
    } finally {
      await packager.close();
      await apiServer.close();
      await proxy.close();
      await server.close();
    }
  });
});
