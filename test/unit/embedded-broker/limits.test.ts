import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { startBroker } from './broker-fixture.js';
import { ackOf, bodyOf, connectRaw, dial, until } from './raw-client.js';

const QUEUE = '/queue/docsets/package';
const KIB = 1024;
const MIB = 1024 * KIB;

describe('hostile peers', () => {
  it('that send garbage get an ERROR and the end of the connection', async () => {
    const { url, broker } = await startBroker();
    for (const garbage of [randomBytes(5_000), Buffer.from('GET / HTTP/1.1\r\nhost: a\r\n\r\n'), Buffer.alloc(100)]) {
      const client = await dial(url);
      client.socket.write(garbage);
      expect((await client.take('ERROR')).headers.get('message')).toMatch(/command/);
      await until('the connection is closed', () => client.closed);
    }
    expect(broker.statistics().connections).toBe(0);
    await connectRaw(url);
  });

  it('that say nothing, or go on for ever before CONNECT, are cut off', async () => {
    const { url } = await startBroker({ limits: { connectMs: 150 } });
    const [silent, trickling] = [await dial(url), await dial(url)];
    const dripping = setInterval(() => trickling.socket.write('\n'), 10);
    try {
      for (const client of [silent, trickling]) {
        expect((await client.take('ERROR')).headers.get('message')).toBe('no CONNECT within 150 ms');
        await until('the connection is closed', () => client.closed);
      }
    } finally {
      clearInterval(dripping);
    }
  });

  it('cannot make the broker hold a large frame before they are known', async () => {
    const { url } = await startBroker();
    const client = await dial(url);
    client.socket.write(`CONNECT\naccept-version:1.2\ncontent-length:${MIB}\n\n`);
    expect((await client.take('ERROR')).headers.get('message')).toBe('a frame is limited to 16384 bytes');
  });

  it('whose frame is too large read the ERROR though they are still sending', async () => {
    const { url } = await startBroker({ limits: { frameBytes: MIB } });
    const client = await connectRaw(url);
    client.send('SEND', { destination: QUEUE, receipt: 'x' }, Buffer.alloc(8 * MIB));
    const error = await client.take('ERROR');
    expect(bodyOf(error)).toBe('The limit of this broker for a frame is 1048576 bytes.\n');
    await until('the connection is closed', () => client.closed);
  });

  it('with endless headers, in number or in length, are cut off', async () => {
    const { url } = await startBroker();
    const [many, long] = [await connectRaw(url), await connectRaw(url)];
    many.socket.write(`SEND\n${'a:b\n'.repeat(200)}`);
    expect((await many.take('ERROR')).headers.get('message')).toBe('the headers of a frame is limited to 100 lines');
    long.socket.write(`SEND\na:${'b'.repeat(100_000)}`);
    expect((await long.take('ERROR')).headers.get('message')).toBe('the headers of a frame is limited to 65536 bytes');
  });

  it('with half a frame each cannot fill the memory', async () => {
    const { url, broker } = await startBroker({ limits: { arrivingBytes: 4 * MIB } });
    const halves = await Promise.all(Array.from({ length: 6 }, () => connectRaw(url)));
    for (const { socket } of halves) socket.write(`SEND\ncontent-length:${2 * MIB}\n\n${'x'.repeat(MIB)}`);
    await until('those above the limit are gone', () => broker.statistics().connections < 5);
    await Promise.all(halves.map((client) => client.cut()));
    await until('all are gone', () => broker.statistics().connections === 0);
    const client = await connectRaw(url);
    expect((await client.ask('SEND', { destination: QUEUE }, Buffer.alloc(3 * MIB))).command).toBe('RECEIPT');
  });
});

describe('limits', () => {
  it('a queue that is full refuses, keeps the connection, and takes more when there is room', async () => {
    const { url } = await startBroker({ limits: { queueDepth: 2 } });
    const client = await connectRaw(url);
    for (const body of ['1', '2']) await client.ask('SEND', { destination: QUEUE }, body);
    const refusal = await client.ask('SEND', { destination: QUEUE }, '3');
    expect([refusal.command, refusal.headers.get('message')]).toEqual([
      'ERROR',
      `queue ${QUEUE} is limited to 2 messages`,
    ]);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await client.ask('ACK', { id: ackOf(await client.take('MESSAGE')) });
    expect((await client.ask('SEND', { destination: QUEUE }, '3')).command).toBe('RECEIPT');
  });

  it('the memory for all messages refuses, and is freed by acknowledgement', async () => {
    const { url } = await startBroker({ limits: { memoryBytes: MIB } });
    const client = await connectRaw(url);
    const body = Buffer.alloc(400 * KIB);
    for (const name of ['a', 'b']) await client.ask('SEND', { destination: `/queue/${name}` }, body);
    const refusal = await client.ask('SEND', { destination: '/queue/c' }, body);
    expect(refusal.headers.get('message')).toBe('the memory for messages is limited to 1048576 bytes');
    client.send('SUBSCRIBE', { destination: '/queue/a', id: '1', ack: 'client-individual' });
    await client.ask('ACK', { id: ackOf(await client.take('MESSAGE')) });
    expect((await client.ask('SEND', { destination: '/queue/c' }, body)).command).toBe('RECEIPT');
  });

  it('connections beyond the limit are told so, and find room when another leaves', async () => {
    const { url, broker } = await startBroker({ limits: { connections: 2 } });
    const [first] = [await connectRaw(url), await connectRaw(url)];
    const third = await dial(url);
    expect((await third.take('ERROR')).headers.get('message')).toBe('this broker is limited to 2 connections');
    await until('the connection is closed', () => third.closed);
    await first.cut();
    await until('there is room', () => broker.statistics().connections === 1);
    await connectRaw(url);
  });

  it('queues and subscriptions are limited too', async () => {
    const { url } = await startBroker({ limits: { queues: 2, subscriptions: 1 } });
    const client = await connectRaw(url);
    await client.ask('SEND', { destination: '/queue/a' });
    await client.ask('SEND', { destination: '/queue/b' });
    const refusal = await client.ask('SEND', { destination: '/queue/c' });
    expect(refusal.headers.get('message')).toBe('this broker is limited to 2 queues');
    expect((await client.ask('SUBSCRIBE', { destination: '/queue/a', id: '1' })).command).toBe('RECEIPT');
    const second = await client.ask('SUBSCRIBE', { destination: '/queue/a', id: '2' });
    expect(second.headers.get('message')).toBe('a connection is limited to 1 subscriptions');
  });

  it('a subscription that asks for more than the largest prefetch gets that', async () => {
    const { url, queue } = await startBroker({ limits: { prefetch: 3 } });
    const client = await connectRaw(url);
    for (let at = 0; at < 5; at++) await client.ask('SEND', { destination: QUEUE });
    await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client', 'prefetch-count': '999999' });
    expect(queue(QUEUE)?.unacknowledged).toBe(3);
  });

  it('a consumer that does not read gets no more than the outgoing limit, others get the rest', async () => {
    const { url, queue } = await startBroker({ limits: { outgoingBytes: MIB } });
    const [sender, stuck, other] = [await connectRaw(url), await connectRaw(url), await connectRaw(url)];
    stuck.socket.pause();
    stuck.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await until('it is subscribed', () => queue(QUEUE)?.consumers === 1);
    for (let at = 0; at < 40; at++) await sender.ask('SEND', { destination: QUEUE }, Buffer.alloc(MIB));
    const heldByStuck = queue(QUEUE)?.unacknowledged ?? 0;
    // The kernel's own buffers take some megabytes before ours begin to fill.
    expect(heldByStuck).toBeGreaterThan(0);
    expect(heldByStuck).toBeLessThan(30);
    await other.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await other.takeMessages(40 - heldByStuck);
    await other.cut();
    stuck.socket.resume();
    await stuck.takeMessages(40);
  });

  it('a peer that never reads its receipts is read no further, and cut off when it takes nothing for long', async () => {
    const { url, broker, events } = await startBroker({ limits: { outgoingBytes: 64 * KIB, stalledMs: 300 } });
    const client = await connectRaw(url);
    client.socket.pause();
    const receipt = 'r'.repeat(50_000);
    for (let at = 0; at < 400; at++) client.send('SEND', { destination: QUEUE, receipt });
    await until('it is cut off', () => broker.statistics().connections === 0);
    expect(events).toContainEqual(
      expect.objectContaining({
        event: 'disconnected',
        reason: expect.stringMatching(/took none of \d+ bytes for 300 ms/),
      }),
    );
  });
});
