import { describe, expect, it } from '@jest/globals';
import { eventsOf, openBroker, type Broker } from '../../../queue-config/index.js';
import { startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.js';
import { waitUntil } from '../../servers/wait-until.js';
import { releaseAfterTest, startBroker, type BrokerFixture } from '../embedded-broker/broker-fixture.js';

const QUEUE = eventsOf('5');

async function connectThroughProxy(): Promise<{ broker: Broker; proxy: TcpProxy; server: BrokerFixture }> {
  const server = await startBroker();
  const proxy = await startTcpProxy(Number(new URL(server.url).port));
  releaseAfterTest(() => proxy.close());
  const broker = openBroker({ urls: `stomp://127.0.0.1:${proxy.port}` });
  releaseAfterTest(() => broker.close());
  return { broker, proxy, server };
}

const publish = (broker: Broker, body: string): Promise<void> =>
  broker.publish({ destination: QUEUE, headers: {}, body, persistent: false });

async function drain(broker: Broker): Promise<string[]> {
  const seen: string[] = [];
  await broker.drain(QUEUE, (messages) => Promise.resolve(void seen.push(...messages.map(({ body }) => body))));
  return seen;
}

describe('connections for single operations', () => {
  it('serve the operations that follow each other, and leave no consumer behind', async () => {
    const { broker, proxy, server } = await connectThroughProxy();
    for (let round = 0; round < 10; round++) {
      await publish(broker, String(round));
      expect(await drain(broker)).toEqual([String(round)]);
      expect(server.queue(QUEUE)?.consumers ?? 0).toBe(0);
    }
    expect(proxy.connections()).toBe(1);
  });

  it('are ended a moment after the last operation', async () => {
    const { broker, proxy } = await connectThroughProxy();
    await Promise.all(['a', 'b', 'c'].map((body) => publish(broker, body)));
    expect(proxy.connections()).toBe(3);
    await waitUntil('none is left', () => Promise.resolve(proxy.open() === 0));
  });

  it('are not used without end', async () => {
    const { broker, proxy } = await connectThroughProxy();
    for (let count = 0; count < 120; count++) await publish(broker, String(count));
    expect(proxy.connections()).toBe(3);
    expect(await drain(broker)).toHaveLength(120);
  });

  it('are replaced where one that was kept turns out to be dead, and the operation is done once', async () => {
    const { broker, proxy } = await connectThroughProxy();
    await publish(broker, 'first');
    proxy.stall();
    const second = publish(broker, 'second');
    await new Promise((resolve) => setImmediate(resolve));
    proxy.cut();
    proxy.resume();
    await second;
    expect(proxy.connections()).toBe(2);
    expect(await drain(broker)).toEqual(['first', 'second']);
  });

  it('are not replaced where the first one fails: the caller hears of it', async () => {
    const { broker, proxy } = await connectThroughProxy();
    proxy.stall();
    const refused = publish(broker, 'lost');
    await waitUntil('it is connected', () => Promise.resolve(proxy.connections() === 1));
    proxy.cut();
    await expect(refused).rejects.toThrow('lost the connection');
    expect(proxy.connections()).toBe(1);
  });
});
