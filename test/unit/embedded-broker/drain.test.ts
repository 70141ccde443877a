import { describe, expect, it } from '@jest/globals';
import type { Frame } from '../../../queue-config/embedded-broker/frame-parser.js';
import { startBroker } from './broker-fixture.js';
import { ackOf, bodiesOf, bodyOf, connectRaw, until, type RawClient } from './raw-client.js';

const QUEUE = '/queue/package/7';

const isEnd = (frame: Frame | undefined): boolean => frame?.headers.get('drain-end') === 'true';

function startDrain(client: RawClient, id = 'd'): void {
  client.send('SUBSCRIBE', { destination: QUEUE, id, ack: 'client', 'adit-drain': 'true' });
}

async function send(client: RawClient, bodies: string[]): Promise<void> {
  await Promise.all(bodies.map((body) => client.ask('SEND', { destination: QUEUE }, body)));
}

/** Reads to the end, acknowledging each hundred. */
async function readToEnd(client: RawClient, seen: string[] = []): Promise<string[]> {
  let last: Frame | undefined;
  let unacknowledged = 0;
  for (;;) {
    const frame = await client.take('MESSAGE');
    if (!isEnd(frame)) {
      seen.push(bodyOf(frame));
      last = frame;
      unacknowledged++;
    }
    if (last !== undefined && unacknowledged > 0 && (unacknowledged === 100 || isEnd(frame))) {
      await client.ask('ACK', { id: ackOf(last) });
      unacknowledged = 0;
    }
    if (isEnd(frame)) return seen;
  }
}

const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));

describe('a drain', () => {
  it('of a queue that does not exist ends at once and leaves no queue behind', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    startDrain(client, 'mine');
    const end = await client.take('MESSAGE');
    expect(isEnd(end)).toBe(true);
    expect([end.headers.get('subscription'), end.headers.has('ack'), end.body.length]).toEqual(['mine', false, 0]);
    expect(queue(QUEUE)?.consumers).toBe(1);
    await client.ask('DISCONNECT');
    expect(queue(QUEUE)).toBeUndefined();
  });

  it.each([1, 5, 99, 100, 101, 1_000])('reads all of %i messages in order and then the end', async (count) => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await send(client, numbers(count));
    startDrain(client);
    expect(await readToEnd(client)).toEqual(numbers(count));
    expect(queue(QUEUE)).toMatchObject({ depth: 0, unacknowledged: 0 });
  });

  it('holds at most 100 messages that are not acknowledged', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await send(client, numbers(250));
    startDrain(client);
    const first = await client.takeMessages(100);
    await client.ask('SEND', { destination: '/queue/other' });
    expect(client.frames).toEqual([]);
    expect(queue(QUEUE)?.unacknowledged).toBe(100);
    await client.ask('ACK', { id: ackOf(first[49]) });
    expect(bodiesOf(await client.takeMessages(50))).toEqual(numbers(150).slice(100));
  });

  it('ends with what was there when it began: what comes later is for the next', async () => {
    const { url, queue } = await startBroker();
    const [reader, writer] = [await connectRaw(url), await connectRaw(url)];
    await send(writer, numbers(150));
    startDrain(reader);
    await reader.take('MESSAGE');
    await send(writer, ['late']);
    const rest = await reader.takeMessages(99);
    await reader.ask('ACK', { id: ackOf(rest.at(-1)) });
    expect(bodiesOf(await reader.takeMessages(50))).toEqual(numbers(150).slice(100));
    expect(isEnd(await reader.take('MESSAGE'))).toBe(true);
    expect(queue(QUEUE)?.depth).toBe(51);
    await reader.cut();
    await until('it is gone', () => queue(QUEUE)?.consumers === 0);
    const next = await connectRaw(url);
    startDrain(next);
    expect(await readToEnd(next)).toEqual([...numbers(150).slice(100), 'late']);
  });

  it('makes a second one wait until it is gone, which then gets what is left', async () => {
    const { url, queue } = await startBroker();
    const [one, two, writer] = [await connectRaw(url), await connectRaw(url), await connectRaw(url)];
    await send(writer, ['a', 'b', 'c']);
    startDrain(one);
    const [, b] = await one.takeMessages(3);
    startDrain(two);
    await until('both are there', () => queue(QUEUE)?.consumers === 2);
    await one.ask('ACK', { id: ackOf(b) });
    await send(writer, ['d']);
    await two.ask('SEND', { destination: '/queue/other' });
    expect(two.frames).toEqual([]);
    await one.cut();
    const frames = await two.takeMessages(3);
    expect(bodiesOf(frames.slice(0, 2))).toEqual(['c', 'd']);
    expect(frames[0]?.headers.get('redelivered')).toBe('true');
    expect(isEnd(frames[2])).toBe(true);
  });

  it('that is over still keeps others out until its subscription is gone', async () => {
    const { url } = await startBroker();
    const [one, two] = [await connectRaw(url), await connectRaw(url)];
    startDrain(one);
    expect(isEnd(await one.take('MESSAGE'))).toBe(true);
    startDrain(two);
    await two.ask('SEND', { destination: QUEUE }, 'x');
    expect(two.frames).toEqual([]);
    await one.ask('UNSUBSCRIBE', { id: 'd' });
    expect(bodyOf(await two.take('MESSAGE'))).toBe('x');
  });

  it('that waits and goes away again is not missed', async () => {
    const { url, queue } = await startBroker();
    const [one, two, three] = [await connectRaw(url), await connectRaw(url), await connectRaw(url)];
    startDrain(one);
    await one.take('MESSAGE');
    startDrain(two);
    await until('the second waits', () => queue(QUEUE)?.consumers === 2);
    startDrain(three);
    await until('the third waits', () => queue(QUEUE)?.consumers === 3);
    await two.cut();
    await until('the second is gone', () => queue(QUEUE)?.consumers === 2);
    await one.cut();
    expect(isEnd(await three.take('MESSAGE'))).toBe(true);
  });

  it('that is lost again and again never makes a dead letter', async () => {
    const { url, queue } = await startBroker({ limits: { maxRedeliveries: 1 } });
    const writer = await connectRaw(url);
    await send(writer, ['event']);
    for (let loss = 0; loss < 5; loss++) {
      const drainer = await connectRaw(url);
      startDrain(drainer);
      const event = await drainer.take('MESSAGE');
      expect(event.headers.get('redelivery-count')).toBe(loss === 0 ? undefined : '0');
      await drainer.cut();
      await until('the event is back', () => queue(QUEUE)?.unacknowledged === 0);
    }
    expect(queue(QUEUE)?.depth).toBe(1);
  });

  it('leaves no event behind and reads none twice while writers race with two drainers', async () => {
    const { url } = await startBroker();
    const writers = [await connectRaw(url), await connectRaw(url)];
    const total = 600;
    const seen: string[] = [];
    const writing = Promise.all(
      writers.map(async (writer, index) => {
        for (let at = 0; at < total / 2; at++) await writer.ask('SEND', { destination: QUEUE }, `${index}-${at}`);
      }),
    );
    const drainUntilAll = async (): Promise<void> => {
      while (seen.length < total) {
        const drainer = await connectRaw(url);
        startDrain(drainer);
        await readToEnd(drainer, seen);
        await drainer.cut();
      }
    };
    await Promise.all([writing, drainUntilAll(), drainUntilAll()]);
    expect(seen.length).toBe(total);
    expect(new Set(seen).size).toBe(total);
    for (const index of [0, 1]) {
      const own = seen.filter((body) => body.startsWith(`${index}-`));
      expect(own).toEqual(Array.from({ length: total / 2 }, (_, at) => `${index}-${at}`));
    }
  });

  it('passes over what has expired', async () => {
    const { url } = await startBroker({ limits: { sweepMs: 3_600_000 } });
    const client = await connectRaw(url);
    const expires = Date.now() + 60;
    await client.ask('SEND', { destination: QUEUE, expires: String(expires) }, 'old');
    await send(client, ['new']);
    await until('it has expired', () => Date.now() > expires);
    startDrain(client);
    expect(await readToEnd(client)).toEqual(['new']);
  });

  it('needs cumulative acknowledgement', async () => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    const answer = await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', 'adit-drain': 'true' });
    expect(answer.headers.get('message')).toMatch(/ack:client/);
  });
});
