import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { startBroker } from './broker-fixture.js';
import { ackOf, bodiesOf, bodyOf, connectRaw, until, type RawClient } from './raw-client.js';

const QUEUE = '/queue/package/5';
const DEAD = '/queue/docsets/dead';

async function sendAll(client: RawClient, bodies: string[], headers: Record<string, string> = {}): Promise<void> {
  await Promise.all(bodies.map((body) => client.ask('SEND', { destination: QUEUE, ...headers }, body)));
}

/** Puts the clock of this process, which is the broker's as well, on to a moment, from where it goes on. */
function setClock(to: number): void {
  const now = Date.now.bind(Date);
  const ahead = to - now();
  jest.spyOn(Date, 'now').mockImplementation(() => now() + ahead);
}
afterEach(() => void jest.restoreAllMocks());

const numbers = (count: number, from = 1): string[] =>
  Array.from({ length: count }, (_, index) => String(from + index));

describe('delivery', () => {
  it('hands a message on with the headers of its sender, and none that only concern the SEND', async () => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    await client.ask(
      'SEND',
      { destination: QUEUE, 'correlation-id': 'a:b\nc', 'message-id': 'mine', ack: 'x' },
      'hé\0llo',
    );
    client.send('SUBSCRIBE', { destination: QUEUE, id: 's1', ack: 'client-individual' });
    const { headers, body } = await client.take('MESSAGE');
    expect(body.toString()).toBe('hé\0llo');
    expect(headers.get('correlation-id')).toBe('a:b\nc');
    expect(headers.get('subscription')).toBe('s1');
    expect(headers.get('destination')).toBe(QUEUE);
    expect(headers.get('message-id')).not.toBe('mine');
    expect(headers.get('ack')).not.toBe('x');
    expect([headers.has('receipt'), headers.has('redelivered')]).toEqual([false, false]);
  });

  it('gives a consumer no more than its prefetch until it acknowledges', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(5));
    await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '2' });
    const [first] = await client.takeMessages(2);
    expect(queue(QUEUE)).toMatchObject({ depth: 5, unacknowledged: 2 });
    await client.ask('ACK', { id: ackOf(first) });
    expect(bodyOf(await client.take('MESSAGE'))).toBe('3');
    expect(queue(QUEUE)).toMatchObject({ depth: 4, unacknowledged: 2 });
  });

  it('reads the prefetch of ActiveMQ clients too', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(5));
    await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client', 'activemq.prefetchSize': '3' });
    expect(queue(QUEUE)?.unacknowledged).toBe(3);
  });

  it('shares the messages of a queue evenly among consumers, each message to one of them', async () => {
    const { url } = await startBroker();
    const clients = [await connectRaw(url), await connectRaw(url), await connectRaw(url)];
    for (const client of clients)
      await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await sendAll(clients[0] as RawClient, numbers(30));
    const shares = await Promise.all(clients.map((client) => client.takeMessages(10)));
    expect(new Set(shares.flatMap(bodiesOf)).size).toBe(30);
  });

  it('passes over a consumer that has no credit left', async () => {
    const { url } = await startBroker();
    const [busy, free] = [await connectRaw(url), await connectRaw(url)];
    await busy.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '1' });
    await free.ask('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '10' });
    await sendAll(busy, numbers(6));
    expect(bodiesOf(await busy.takeMessages(1))).toEqual(['1']);
    expect(bodiesOf(await free.takeMessages(5))).toEqual(['2', '3', '4', '5', '6']);
  });

  it('with ack:auto forgets a message once it is sent', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(3), { persistent: 'true' });
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    const messages = await client.takeMessages(3);
    expect(messages.some((message) => message.headers.has('ack'))).toBe(false);
    expect(queue(QUEUE)?.depth).toBe(0);
  });

  it('with ack:client acknowledges everything up to a message', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(5));
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client' });
    const messages = await client.takeMessages(5);
    await client.ask('ACK', { id: ackOf(messages[2]) });
    expect(queue(QUEUE)).toMatchObject({ depth: 2, unacknowledged: 2 });
  });

  it('with ack:client-individual acknowledges one message', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(5));
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const messages = await client.takeMessages(5);
    await client.ask('ACK', { id: ackOf(messages[2]) });
    expect(queue(QUEUE)).toMatchObject({ depth: 4, unacknowledged: 4 });
  });

  it('answers an acknowledgement given twice with an ERROR, and goes on', async () => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, ['once']);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const id = ackOf(await client.take('MESSAGE'));
    expect((await client.ask('ACK', { id })).command).toBe('RECEIPT');
    expect((await client.ask('ACK', { id })).headers.get('message')).toMatch(/nothing waits/);
    expect((await client.ask('SEND', { destination: QUEUE })).command).toBe('RECEIPT');
  });

  it('gives what an ended subscription held to the next one, in order', async () => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, numbers(4));
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const [, second] = await client.takeMessages(4);
    await client.ask('ACK', { id: ackOf(second) });
    await client.ask('UNSUBSCRIBE', { id: '1' });
    client.send('SUBSCRIBE', { destination: QUEUE, id: '2', ack: 'client-individual' });
    expect(bodiesOf(await client.takeMessages(3))).toEqual(['1', '3', '4']);
  });

  it('confirms a DISCONNECT after everything before it, then closes', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    client.send('SEND', { destination: QUEUE, persistent: 'true' }, 'x');
    expect((await client.ask('DISCONNECT')).command).toBe('RECEIPT');
    await until('the connection is closed', () => client.closed);
    expect(queue(QUEUE)?.depth).toBe(1);
  });
});

describe('redelivery', () => {
  it('brings what a lost consumer held in the original order, ahead of newer messages, marked and counted', async () => {
    const { url } = await startBroker();
    const [lost, client] = [await connectRaw(url), await connectRaw(url)];
    await sendAll(client, numbers(3));
    lost.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await lost.takeMessages(3);
    await lost.cut();
    await sendAll(client, numbers(2, 4));
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const again = await client.takeMessages(5);
    expect(bodiesOf(again)).toEqual(['1', '2', '3', '4', '5']);
    expect(again.map(({ headers }) => headers.get('redelivered'))).toEqual([
      'true',
      'true',
      'true',
      undefined,
      undefined,
    ]);
    expect(again.map(({ headers }) => headers.get('redelivery-count'))).toEqual(['1', '1', '1', undefined, undefined]);
    expect(new Set(again.map(ackOf)).size).toBe(5);
  });

  it('merges what two consumers held', async () => {
    const { url, queue } = await startBroker();
    const [one, two, client] = [await connectRaw(url), await connectRaw(url), await connectRaw(url)];
    for (const consumer of [one, two]) {
      const terms = { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '3' };
      await consumer.ask('SUBSCRIBE', terms);
    }
    await sendAll(client, numbers(8));
    await one.cut();
    await two.cut();
    await until('both are gone', () => queue(QUEUE)?.unacknowledged === 0);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    expect(bodiesOf(await client.takeMessages(8))).toEqual(numbers(8));
  });

  it('stops after the allowed number: the message is a dead letter that says where from and why', async () => {
    const { url, queue, events } = await startBroker({ limits: { maxRedeliveries: 2 } });
    const client = await connectRaw(url);
    await sendAll(client, ['poison', 'good'], { persistent: 'true', 'correlation-id': 'c1' });
    for (let death = 0; death < 3; death++) {
      const victim = await connectRaw(url);
      victim.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '1' });
      expect(bodyOf(await victim.take('MESSAGE'))).toBe('poison');
      await victim.cut();
      await until('it came back', () => queue(QUEUE)?.unacknowledged === 0);
    }
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    expect(bodyOf(await client.take('MESSAGE'))).toBe('good');
    client.send('SUBSCRIBE', { destination: DEAD, id: '2', ack: 'client-individual' });
    const dead = await client.take('MESSAGE');
    expect(bodyOf(dead)).toBe('poison');
    expect(dead.headers.get('original-destination')).toBe(QUEUE);
    expect(dead.headers.get('correlation-id')).toBe('c1');
    expect(dead.headers.get('reason')).toBe('lost 3 consumers');
    expect(Number(dead.headers.get('expires'))).toBeGreaterThan(Date.now() + 13 * 24 * 3_600_000);
    expect(events).toContainEqual(expect.objectContaining({ event: 'dead-lettered', queue: QUEUE }));
  });

  it('is not counted against a message whose consumer said good-bye', async () => {
    const { url, queue } = await startBroker({ limits: { maxRedeliveries: 0 } });
    const client = await connectRaw(url);
    await sendAll(client, ['patient']);
    for (let visit = 0; visit < 3; visit++) {
      const guest = await connectRaw(url);
      guest.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
      await guest.take('MESSAGE');
      await guest.ask('DISCONNECT');
    }
    expect(queue(QUEUE)?.depth).toBe(1);
    expect(queue(DEAD)).toBeUndefined();
  });
});

describe('dead letters', () => {
  it('are made at once by NACK', async () => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    await sendAll(client, ['unreadable', 'next']);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const [first] = await client.takeMessages(2);
    await client.ask('NACK', { id: ackOf(first) });
    expect(queue(QUEUE)).toMatchObject({ depth: 1, unacknowledged: 1 });
    expect(queue(DEAD)?.depth).toBe(1);
  });

  it('that are refused themselves are dropped, and come round no more', async () => {
    const { url, queue, events } = await startBroker();
    const client = await connectRaw(url);
    await client.ask('SEND', { destination: DEAD }, 'dead');
    client.send('SUBSCRIBE', { destination: DEAD, id: '1', ack: 'client-individual' });
    await client.ask('NACK', { id: ackOf(await client.take('MESSAGE')) });
    expect(queue(DEAD)?.depth).toBe(0);
    expect(events).toContainEqual(expect.objectContaining({ event: 'dead-letter-dropped' }));
  });
});

describe('expiry', () => {
  it('drops a message in silence, without any consumer and without a dead letter', async () => {
    const { url, queue } = await startBroker({ limits: { sweepMs: 20 } });
    const client = await connectRaw(url);
    const expires = Date.now() + 60_000;
    await sendAll(client, ['a', 'b'], { expires: String(expires) });
    await sendAll(client, ['c', 'd'], { expires: String(expires), persistent: 'true' });
    await sendAll(client, ['stays']);
    expect(queue(QUEUE)?.depth).toBe(5);
    setClock(expires - 150);
    await until('they are gone', () => queue(QUEUE)?.depth === 1);
    expect(Date.now()).toBeGreaterThanOrEqual(expires);
    expect(queue(DEAD)).toBeUndefined();
  });

  it('never delivers an expired message, though no sweep has found it', async () => {
    const { url } = await startBroker({ limits: { sweepMs: 3_600_000 } });
    const client = await connectRaw(url);
    const expires = Date.now() + 100;
    await sendAll(client, ['old'], { expires: String(expires) });
    await sendAll(client, ['past'], { expires: '1' });
    await sendAll(client, ['never'], { expires: '0' });
    await until('it has expired', () => Date.now() > expires);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    expect(bodyOf(await client.take('MESSAGE'))).toBe('never');
    await client.ask('SEND', { destination: '/queue/other' });
    expect(client.frames).toEqual([]);
  });

  it('covers a message that comes back from a lost consumer', async () => {
    const { url, queue } = await startBroker({ limits: { sweepMs: 20 } });
    const [client, slow] = [await connectRaw(url), await connectRaw(url)];
    const expires = Date.now() + 60_000;
    await sendAll(client, ['held'], { expires: String(expires) });
    slow.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await slow.take('MESSAGE');
    setClock(expires);
    await until('it has expired', () => Date.now() > expires + 40);
    expect(queue(QUEUE)?.depth).toBe(1);
    await slow.cut();
    await until('it is gone', () => queue(QUEUE)?.depth === 0);
  });

  it('refuses a time that is none, and keeps the connection', async () => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    const answer = await client.ask('SEND', { destination: QUEUE, expires: 'tomorrow' });
    expect(answer.headers.get('message')).toMatch(/expires "tomorrow"/);
    expect((await client.ask('SEND', { destination: QUEUE })).command).toBe('RECEIPT');
  });
});

describe('queues', () => {
  it('are removed when they were empty and unread for long enough, and not before', async () => {
    const { url, queue } = await startBroker({ limits: { sweepMs: 10, idleQueueMs: 2_000 } });
    const client = await connectRaw(url);
    await client.ask('SUBSCRIBE', { destination: '/queue/read', id: '1' });
    await client.ask('SEND', { destination: '/queue/full' }, 'x');
    await client.ask('SUBSCRIBE', { destination: '/queue/idle', id: '2' });
    const left = Date.now();
    await client.ask('UNSUBSCRIBE', { id: '2' });
    expect(queue('/queue/idle')).toBeDefined();
    await until('the idle queue is gone', () => queue('/queue/idle') === undefined);
    expect(Date.now() - left).toBeGreaterThanOrEqual(2_000);
    expect(queue('/queue/read')).toBeDefined();
    expect(queue('/queue/full')).toBeDefined();
  });

  it.each([
    '/queue/package/>',
    '/queue/*',
    '/queue/a.b',
    '/topic/a',
    'queue/a',
    '/queue/',
    '/queue/a b',
    `/queue/${'a'.repeat(300)}`,
  ])('cannot be called %s, and the ERROR says what would do', async (destination) => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    for (const command of ['SEND', 'SUBSCRIBE']) {
      const answer = await client.ask(command, { destination, id: '1' });
      expect(answer.command).toBe('ERROR');
      expect(bodyOf(answer)).toMatch(/Destinations start with \/queue\//);
    }
    expect((await client.ask('SEND', { destination: QUEUE })).command).toBe('RECEIPT');
  });
});

describe('what this broker does not do', () => {
  it.each(['selector', 'browser', 'activemq.exclusive'])('SUBSCRIBE with %s: refused, not ignored', async (header) => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    const answer = await client.ask('SUBSCRIBE', { destination: QUEUE, id: '1', [header]: 'true' });
    expect(answer.headers.get('message')).toContain(header);
    expect(queue(QUEUE)).toBeUndefined();
  });

  it.each([
    ['BEGIN', { transaction: 't' }],
    ['COMMIT', { transaction: 't' }],
    ['ABORT', { transaction: 't' }],
    ['SEND', { destination: QUEUE, transaction: 't' }],
  ])('%s of a transaction: an ERROR that says so, and the end of the connection', async (command, headers) => {
    const { url, queue } = await startBroker();
    const client = await connectRaw(url);
    expect((await client.ask(command, headers)).headers.get('message')).toMatch(/no transactions/);
    await until('the connection is closed', () => client.closed);
    expect(queue(QUEUE)).toBeUndefined();
  });

  it.each([
    ['a second CONNECT', 'CONNECT', { 'accept-version': '1.2' }, /open already/],
    ['a subscription without id', 'SUBSCRIBE', { destination: QUEUE }, /needs the header id/],
    ['an unknown ack mode', 'SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'perhaps' }, /client-individual/],
    ['a prefetch of nothing', 'SUBSCRIBE', { destination: QUEUE, id: '1', 'prefetch-count': '0' }, /above 0/],
    ['a SEND without destination', 'SEND', {}, /needs the header destination/],
  ])('%s: ERROR and the end of the connection', async (_name, command, headers, message) => {
    const { url } = await startBroker();
    const client = await connectRaw(url);
    expect((await client.ask(command, headers)).headers.get('message')).toMatch(message);
    await until('the connection is closed', () => client.closed);
  });
});
