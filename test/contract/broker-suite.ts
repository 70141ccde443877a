/**
 * What every broker has to do behind the port `Broker`. It runs on the embedded broker and on real ones, and knows nothing
 * that only one of them can do.
 */
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import pMap from 'p-map';
import {
  BrokerRefusedError,
  BrokerUnavailableError,
  DEAD_LETTERS,
  deadLetterMessage,
  DELETE_REQUESTS,
  eventsOf,
  PACKAGE_REQUESTS,
  type Broker,
  type Delivery,
  type Destination,
  type DrainLimit,
  type DrainOptions,
  type OutgoingMessage,
  type ReceivedMessage,
} from '../../queue-config/index.js';
import { dialectOf } from '../../queue-config/dialects.js';
import type { Account } from '../../queue-config/operations/accounts.js';
import { openBroker, type RecognisedBroker } from '../../queue-config/stomp-broker.js';
import { connectStomp, describeOn, startTcpProxy, waitUntil } from '../servers/index.js';
import { MANY_QUEUES, type BrokerRow, type RunningBroker, type Transport } from './brokers.js';

const TLS: readonly Transport[] = ['stomp+ssl', 'wss'];
const DEADLINE = 60_000;
const LONG = 120_000;
/** Consumers that are stopped, one after the other: what goes wrong does so once in a hundred, or in two. */
const STOPS = 40;
const LONG_FOR_MANY = MANY_QUEUES * 200 + LONG;

async function until(what: string, condition: () => boolean): Promise<void> {
  const end = Date.now() + DEADLINE;
  while (!condition()) {
    if (Date.now() > end) throw new Error(`not within ${DEADLINE} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const bodies = (messages: readonly ReceivedMessage[]): string[] => messages.map(({ body }) => body);
const numbers = (count: number): string[] => Array.from({ length: count }, (_, index) => String(index));
/** A queue as those for requests are: any number of consumers at a time. */
const freshWorkQueue = (): Destination => `/queue/docsets/check/t-${randomUUID()}` as Destination;
/** A queue that no other test has touched. */
const freshQueue = (): Destination => eventsOf(`t-${randomUUID()}`);

function message(destination: Destination, body: string, more: Partial<OutgoingMessage> = {}): OutgoingMessage {
  return { destination, body, headers: {}, persistent: false, expires: Date.now() + 600_000, ...more };
}

/** Sends in order, over one connection: one for each message would be slow. */
async function publishAll(broker: Broker, queue: Destination, texts: string[], persistent = false): Promise<void> {
  await onOneConnection(broker, async (publish) => {
    await Promise.all(texts.map((text) => publish(message(queue, text, { persistent }))));
  });
}

/** The port sends many messages over one connection only from within a delivery, so this makes one. */
async function onOneConnection(broker: Broker, work: (publish: Delivery['publish']) => Promise<void>): Promise<void> {
  const trigger = freshQueue();
  await broker.publish(message(trigger, 'go'));
  let finish: (outcome: Promise<void>) => void = () => undefined;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  const consumer = broker.consume(trigger, { prefetch: 1 }, async (delivery) => {
    const worked = work((outgoing) => delivery.publish(outgoing));
    // Told first: were the connection lost, the trigger would come again and the work be done twice.
    finish(worked);
    await worked;
    await delivery.ack();
  });
  try {
    await finished;
    await consumer.stop();
  } catch (error) {
    await consumer.abandon();
    throw error;
  }
}

/** How a drain ends: with the broker's confirmation, or before it. */
const ENDS: [string, DrainOptions][] = [
  ['each confirmed', {}],
  ['none waiting for the confirmation', { onUnconfirmed: () => undefined }],
];

/** @param options by default, the drain waits until the broker has confirmed the end */
async function drainAll(broker: Broker, destination: Destination, options: DrainOptions = {}): Promise<string[]> {
  const seen: string[] = [];
  const { drained } = await broker.drain(destination, (batch) => Promise.resolve(void seen.push(...bodies(batch))), {
    timeoutMs: DEADLINE,
    ...options,
  });
  expect(drained).toBe(seen.length);
  return seen;
}

/** Runs the contract on the broker of a row: all of it over its first transport, and over each further one what a transport can spoil. */
export function describeBroker(row: BrokerRow): void {
  if (row.server === undefined) describe(row.title, () => describeContract(row));
  else describeOn(row.server, row.title, () => describeContract(row));
}

function describeContract(row: BrokerRow): void {
  const { transports, hasRights, dialect } = row;
  let server: RunningBroker;
  beforeAll(async () => {
    server = await row.start();
  }, LONG);
  afterAll(async () => {
    await server.stop();
  }, LONG);

  const opened: Broker[] = [];
  const open = (urls: string): Broker => {
    const broker = openBroker({ urls, authority: server.authority });
    opened.push(broker);
    return broker;
  };
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((broker) => broker.close()));
  });
  const [first = 'stomp', ...others] = transports;
  const over = (transport: Transport) => (): Broker => open(server.url(transport));

  describe(`over ${first}`, () => {
    const connect = over(first);
    it('is recognised', async () => {
      const seen: RecognisedBroker[] = [];
      const broker = openBroker({ urls: server.url(first), onRecognised: (broker) => seen.push(broker) });
      opened.push(broker);
      await drainAll(broker, freshQueue());
      await drainAll(broker, freshQueue());
      expect(seen).toEqual([expect.objectContaining({ dialect, forced: false })]);
    });
    describeTransport(connect);
    describePublishing(connect);
    describeConsuming(connect);
    describeDraining(connect, open, () => server);
    describeDeadLetters(connect, () => server, row);
    describeFailures(connect, open, () => server, row);
    if (hasRights) describeRights((account) => open(server.url(first, account)));
  });

  for (const transport of others) {
    describe(`over ${transport}`, () => {
      describeTransport(over(transport));
      if (TLS.includes(transport)) {
        it('takes the broker for nobody without the authority of its certificate', async () => {
          const broker = openBroker({ urls: server.url(transport) });
          opened.push(broker);
          await expect(broker.publish(message(freshQueue(), 'x'))).rejects.toThrow(/certificate/);
        });
      }
    });
  }
}

/** What a transport can spoil. */
function describeTransport(connect: () => Broker): void {
  it('hands headers and body on as they were sent', async () => {
    const broker = connect();
    const queue = freshQueue();
    const headers = {
      'correlation-id': 'c-1',
      attempt: '2',
      'content-type': 'text/plain',
      'reply-to': eventsOf('5'),
    };
    await broker.publish(message(queue, '\n Zwölf Öfen\r\n日本語 \u{1F600}: \\n\n', { headers }));
    const seen: ReceivedMessage[] = [];
    await broker.drain(queue, (batch) => Promise.resolve(void seen.push(...batch)));
    expect(bodies(seen)).toEqual(['\n Zwölf Öfen\r\n日本語 \u{1F600}: \\n\n']);
    expect(seen[0]?.headers).toMatchObject(headers);
  });

  it('carries a body of a megabyte, and an empty one', async () => {
    const broker = connect();
    const queue = freshQueue();
    const large = 'äöü €\n'.repeat(92_000);
    expect(Buffer.byteLength(large)).toBeGreaterThan(1_000_000);
    await publishAll(broker, queue, [large, '']);
    expect((await drainAll(broker, queue)).map((body) => body.length)).toEqual([large.length, 0]);
  });

  it.each([0, 250])('drains %i events in order, in batches of at most 100', async (count) => {
    await drainInBatches(connect(), count);
  });

  it('gives each of two consumers one message at a time, and every message to one of them', async () => {
    await shareBetweenTwo(connect());
  });
}

async function shareBetweenTwo(broker: Broker): Promise<void> {
  const queue = freshWorkQueue();
  const texts = numbers(20);
  await publishAll(broker, queue, texts);
  const shares: { seen: string[]; running: number }[] = [0, 1].map(() => ({ seen: [], running: 0 }));
  let most = 0;
  const consumers = shares.map((share) =>
    broker.consume(queue, { prefetch: 1 }, async (delivery) => {
      most = Math.max(most, ++share.running);
      share.seen.push(delivery.message.body);
      // The first message of each is held until the other one has got one too.
      await until('both work', () => shares.every(({ seen }) => seen.length > 0));
      share.running--;
      await delivery.ack();
    }),
  );
  const all = (): string[] => shares.flatMap(({ seen }) => seen);
  await until('all were seen', () => all().length >= texts.length);
  await Promise.all(consumers.map((consumer) => consumer.stop()));
  expect(all().sort()).toEqual([...texts].sort());
  expect(most).toBe(1);
  expect(await drainAll(broker, queue)).toEqual([]);
}

async function drainInBatches(broker: Broker, count: number): Promise<void> {
  const queue = freshQueue();
  await publishAll(broker, queue, numbers(count));
  const batches: string[][] = [];
  const { drained } = await broker.drain(queue, (batch) => Promise.resolve(void batches.push(bodies(batch))), {
    timeoutMs: DEADLINE,
  });
  expect(batches.flat()).toEqual(numbers(count));
  expect(drained).toBe(count);
  expect(Math.max(0, ...batches.map((batch) => batch.length))).toBeLessThanOrEqual(100);
  expect(await drainAll(broker, queue)).toEqual([]);
}

function describePublishing(connect: () => Broker): void {
  it('keeps queues apart whose names differ after a slash only', async () => {
    const broker = connect();
    const id = randomUUID();
    const [one, two] = [eventsOf(`${id}-a`), eventsOf(`${id}_a`)];
    await broker.publish(message(one, 'one'));
    await broker.publish(message(two, 'two'));
    expect(await drainAll(broker, two)).toEqual(['two']);
    expect(await drainAll(broker, one)).toEqual(['one']);
  });

  it(
    `holds ${MANY_QUEUES} queues at a time, and hands out of each what is on it`,
    async () => {
      const broker = connect();
      const queues = Array.from({ length: MANY_QUEUES }, freshQueue);
      const expires = Date.now() + LONG_FOR_MANY;
      // Over many connections, as packagers come and go: RabbitMQ wakes every queue that was written over a connection when that ends.
      await pMap(queues, (queue) => broker.publish(message(queue, queue, { expires })), { concurrency: 8 });
      await pMap(queues, async (queue) => expect(await drainAll(broker, queue)).toEqual([queue]), { concurrency: 4 });
    },
    LONG_FOR_MANY,
  );

  it('drops a message once it has expired, and no other', async () => {
    const broker = connect();
    const queue = freshQueue();
    const expires = Date.now() + 1_000;
    await broker.publish(message(queue, 'short', { expires }));
    await broker.publish(message(queue, 'short and persistent', { expires, persistent: true }));
    await broker.publish(message(queue, 'long'));
    // RabbitMQ counts from when a message has come.
    const sent = Date.now();
    await until('it has expired', () => Date.now() > sent + 1_500);
    expect(await drainAll(broker, queue)).toEqual(['long']);
  });
}

function describeConsuming(connect: () => Broker): void {
  it('hands out as many messages at a time as the prefetch says', async () => {
    const broker = connect();
    const queue = freshWorkQueue();
    await publishAll(broker, queue, numbers(5));
    const held: Delivery[] = [];
    const consumer = broker.consume(queue, { prefetch: 3 }, async (delivery) => {
      held.push(delivery);
      if (held.length <= 3) await until('three are held', () => held.length >= 3);
      await delivery.ack();
    });
    await until('all were seen', () => held.length === 5);
    await consumer.stop();
    expect(held.map(({ message: { body } }) => body).sort()).toEqual(numbers(5));
  });

  it('brings the unacknowledged back, in order and ahead of newer ones, when a consumer is lost', async () => {
    const broker = connect();
    const queue = freshWorkQueue();
    await publishAll(broker, queue, ['1', '2', '3']);
    const held: Delivery[] = [];
    let letGo: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (letGo = resolve));
    const lost = broker.consume(queue, { prefetch: 3 }, async (delivery) => {
      held.push(delivery);
      await released;
    });
    await until('three are held', () => held.length === 3);
    await held[0]?.ack();
    const abandoned = lost.abandon();
    await until('the deliveries are told', () => held.every((delivery) => delivery.lost.aborted));
    letGo();
    await abandoned;
    await publishAll(broker, queue, ['4']);
    const again: ReceivedMessage[] = [];
    const next = broker.consume(queue, { prefetch: 1 }, async (delivery) => {
      again.push(delivery.message);
      await delivery.ack();
    });
    await until('the rest was seen', () => again.length === 3);
    await next.stop();
    expect(bodies(again)).toEqual(['2', '3', '4']);
    expect(again[0]?.headers['redelivered']).toBe('true');
  });

  it('takes a delivery whose handler threw as not acknowledged, and goes on', async () => {
    const broker = connect();
    const queue = freshWorkQueue();
    await publishAll(broker, queue, ['hard']);
    let attempts = 0;
    const consumer = broker.consume(queue, { prefetch: 1 }, async (delivery) => {
      if (++attempts === 1) throw new Error('this one failed');
      await delivery.ack();
    });
    await until('it came again', () => attempts === 2);
    await consumer.stop();
    expect(await drainAll(broker, queue)).toEqual([]);
  });

  it.each([
    ['when its first delivery is there, subscribed or not', 0],
    ['later', 10],
  ])('lets a consumer that is stopped finish what it began, and keeps nothing from others: %s', async (_when, ms) => {
    const broker = connect();
    for (let round = 0; round < STOPS; round++) {
      const queue = freshWorkQueue();
      await publishAll(broker, queue, ['begun', 'waiting']);
      let begin: () => void = () => undefined;
      const began = new Promise<void>((resolve) => (begin = resolve));
      let finish: () => void = () => undefined;
      const finished = new Promise<void>((resolve) => (finish = resolve));
      const consumer = broker.consume(queue, { prefetch: 1 }, async (delivery) => {
        begin();
        await finished;
        await delivery.ack();
      });
      await began;
      if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
      const stopped = consumer.stop();
      finish();
      await stopped;
      expect(await drainAll(broker, queue)).toEqual(['waiting']);
    }
  });
}

function describeDraining(connect: () => Broker, open: (urls: string) => Broker, server: () => RunningBroker): void {
  it.each([1, 5, 100, 1_000])('drains %i events in order, in batches of at most 100', async (count) => {
    await drainInBatches(connect(), count);
  });

  it('reads no more of a long queue than it is told to, and leaves the rest in its order', async () => {
    const broker = connect();
    const queue = freshQueue();
    await publishAll(broker, queue, numbers(450));
    const seen: string[] = [];
    const drainSome = async (limit: DrainLimit): Promise<boolean> => {
      const take = (batch: ReceivedMessage[]): Promise<void> => Promise.resolve(void seen.push(...bodies(batch)));
      const { isComplete } = await broker.drain(queue, take, { timeoutMs: DEADLINE, limit });
      return isComplete;
    };
    expect(await drainSome({ messages: 200, characters: Infinity })).toBe(false);
    expect(seen).toEqual(numbers(200));
    expect(await drainSome({ messages: 1_000, characters: 1 })).toBe(false);
    expect(seen).toEqual(numbers(300));
    expect(await drainSome({ messages: 200, characters: 10_000 })).toBe(true);
    expect(seen).toEqual(numbers(450));
  });

  it('keeps the order of persistent events among others', async () => {
    const broker = connect();
    const queue = freshQueue();
    for (const text of numbers(10)) await broker.publish(message(queue, text, { persistent: Number(text) % 3 === 0 }));
    expect(await drainAll(broker, queue)).toEqual(numbers(10));
  });

  it.each(ENDS)(
    'loses nothing and reads nothing twice over successive drains while events arrive, %s',
    async (_, end) => {
      const [broker, writer] = [connect(), connect()];
      const queue = freshQueue();
      const texts = numbers(300);
      const seen: string[] = [];
      const writing = { over: false };
      const written = onOneConnection(writer, async (publish) => {
        for (const text of texts) await publish(message(queue, text));
      }).finally(() => (writing.over = true));
      let drains = 0;
      for (; !writing.over; drains++) seen.push(...(await drainAll(broker, queue, end)));
      await written;
      expect(drains).toBeGreaterThan(1);
      seen.push(...(await drainAll(broker, queue, end)));
      expect(seen).toEqual(texts);
    },
  );

  it('gives every event to one of two drainers at once', async () => {
    const [one, two, writer] = [connect(), connect(), connect()];
    for (let round = 0; round < 5; round++) {
      const queue = freshQueue();
      const texts = numbers(round * 60);
      await publishAll(writer, queue, texts);
      const shares = await Promise.all([drainAll(one, queue), drainAll(two, queue)]);
      expect(shares.flat().sort()).toEqual([...texts].sort());
    }
  });

  it.each(ENDS)('gives every event to one drain while two drainers race with a writer, %s', async (_, end) => {
    const [one, two, writer] = [connect(), connect(), connect()];
    const queue = freshQueue();
    const texts = numbers(200);
    const writing = { over: false };
    const written = onOneConnection(writer, async (publish) => {
      for (const text of texts) await publish(message(queue, text, { persistent: Number(text) % 10 === 0 }));
    }).finally(() => (writing.over = true));
    const drainWhileWriting = async (broker: Broker): Promise<string[]> => {
      const seen: string[] = [];
      while (!writing.over) seen.push(...(await drainAll(broker, queue, end)));
      return seen;
    };
    const shares = await Promise.all([drainWhileWriting(one), drainWhileWriting(two)]);
    await written;
    const rest = await drainAll(one, queue);
    const count = (text: string): number => Number(text);
    expect([...shares.flat(), ...rest].map(count).sort((a, b) => a - b)).toEqual(texts.map(count));
  });

  it('leaves the events of a batch that could not be stored, and all behind it, on the queue', async () => {
    const broker = connect();
    const queue = freshQueue();
    await publishAll(broker, queue, numbers(250));
    let batches = 0;
    const failing = broker.drain(queue, async () => {
      await Promise.resolve();
      if (++batches === 2) throw new Error('the database is away');
    });
    await expect(failing).rejects.toThrow('the database is away');
    expect(await drainAll(broker, queue)).toEqual(numbers(250).slice(100));
  });

  it('cut off midway by its signal leaves what it has not acknowledged', async () => {
    const broker = connect();
    const queue = freshQueue();
    await publishAll(broker, queue, numbers(150));
    const cut = new AbortController();
    const drain = broker.drain(
      queue,
      async () => {
        cut.abort(new Error('the client has gone'));
        await Promise.resolve();
      },
      { signal: cut.signal },
    );
    await expect(drain).rejects.toThrow('the client has gone');
    expect(await drainAll(broker, queue)).toEqual(numbers(150));
  });

  it('that loses its connection at any step loses no event', async () => {
    const direct = connect();
    const { hostname, port } = new URL(server().url('stomp'));
    const proxy = await startTcpProxy(Number(port));
    const texts = numbers(150);
    const url = server().url('stomp').replace(`${hostname}:${port}`, `127.0.0.1:${proxy.port}`);
    /** Drains 150 events, cut off after so many bytes. @returns bytes that passed */
    const drainCutAt = async (bytes: number): Promise<number> => {
      const queue = freshQueue();
      await publishAll(direct, queue, texts);
      const stored: string[] = [];
      const before = proxy.bytes();
      proxy.cutAt(before + bytes);
      const drain = open(url).drain(queue, (batch) => Promise.resolve(void stored.push(...bodies(batch))));
      const end = await drain.then(
        () => 'whole',
        (error: unknown) => error,
      );
      if (end !== 'whole') expect(end).toBeInstanceOf(BrokerUnavailableError);
      const rest = await drainAll(direct, queue);
      // What is acknowledged has been stored; what was stored may come again where its acknowledgement was cut off.
      const firstAgain = Number(rest[0] ?? texts.length);
      expect(rest).toEqual(texts.slice(firstAgain));
      expect(stored).toEqual(texts.slice(0, stored.length));
      expect(firstAgain).toBeLessThanOrEqual(stored.length);
      if (end === 'whole') expect(rest).toEqual([]);
      return proxy.bytes() - before;
    };
    try {
      const whole = await drainCutAt(Infinity);
      const steps = 12;
      for (let step = 0; step < steps; step++) await drainCutAt((whole * step) / steps);
    } finally {
      await proxy.close();
    }
  });

  it('that was aborted before it began touches nothing', async () => {
    const broker = connect();
    const queue = freshQueue();
    await publishAll(broker, queue, ['a']);
    const signal = AbortSignal.abort(new Error('never mind'));
    await expect(broker.drain(queue, () => Promise.resolve(), { signal })).rejects.toThrow('never mind');
    expect(await drainAll(broker, queue)).toEqual(['a']);
  });
}

function describeFailures(
  connect: () => Broker,
  open: (urls: string) => Broker,
  server: () => RunningBroker,
  { afterKill }: BrokerRow,
): void {
  // One restart for all of it: real brokers take their time.
  it(
    `over kill -9 keeps every persistent message that was confirmed, and the consumer comes back; of what was acknowledged: ${afterKill}`,
    async () => {
      const broker = connect();
      const [queue, acknowledged, other] = [freshQueue(), freshQueue(), freshQueue()];
      await publishAll(broker, queue, numbers(200), true);
      await publishAll(broker, acknowledged, numbers(20), true);
      const request = `http://server/api/docsets/${randomUUID()}?fmt=meta`;
      await broker.publish(message(PACKAGE_REQUESTS, request, { persistent: true }));
      const taken: string[] = [];
      const changes: boolean[] = [];
      const consumer = broker.consume(
        other,
        { prefetch: 1, onConnectionChange: ({ connected }) => changes.push(connected) },
        async (delivery) => {
          taken.push(delivery.message.body);
          await delivery.ack();
        },
      );
      await consumer.ready;
      expect(await drainAll(broker, acknowledged)).toEqual(numbers(20));
      await server().killAndRestart();
      expect(await drainAll(broker, queue)).toEqual(numbers(200));
      const again = await drainAll(broker, acknowledged);
      if (afterKill === 'nothing comes back') expect(again).toEqual([]);
      else expect(again).toEqual(numbers(20).slice(20 - again.length));
      expect(await drainAll(broker, acknowledged)).toEqual([]);
      expect(await drainAll(broker, PACKAGE_REQUESTS)).toContain(request);
      await broker.publish(message(other, 'after the restart'));
      await until('the consumer is back', () => taken.length > 0);
      await consumer.stop();
      expect(taken).toEqual(['after the restart']);
      expect(changes[0]).toBe(true);
      expect(changes).toContain(false);
      expect(changes.at(-1)).toBe(true);
    },
    LONG * 2,
  );

  it('says BrokerRefusedError when the passcode is wrong', async () => {
    const wrong = new URL(server().url('stomp'));
    wrong.password = 'wrong';
    const broker = open(wrong.href);
    const queue = freshQueue();
    await expect(broker.publish(message(queue, 'x'))).rejects.toThrow(BrokerRefusedError);
    await expect(broker.drain(queue, () => Promise.resolve())).rejects.toThrow(BrokerRefusedError);
  });

  it('says BrokerUnavailableError when nobody listens', async () => {
    const broker = open('stomp://127.0.0.1:1');
    const queue = freshQueue();
    await expect(broker.publish(message(queue, 'x'))).rejects.toBeInstanceOf(BrokerUnavailableError);
    await expect(broker.drain(queue, () => Promise.resolve())).rejects.toBeInstanceOf(BrokerUnavailableError);
  });

  it('waits on where this process stood still for longer than its patience while the broker answered', async () => {
    const broker = openBroker({ urls: server().url('stomp'), connectTimeoutMs: 1_500, receiptTimeoutMs: 1_500 });
    const queue = freshQueue();
    // Twice its patience: what of it is left for the answer afterwards is all of it.
    const standStill = (): void => {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3_000);
    };
    const published = broker.publish(message(queue, 'x'));
    setImmediate(standStill);
    await published;
    const drained = broker.drain(queue, () => Promise.resolve(), { timeoutMs: 1_500 });
    setImmediate(standStill);
    expect(await drained).toBeDefined();
    await broker.close();
  });

  it('goes on to the next broker of a list when the first is not there', async () => {
    const broker = open(`stomp://127.0.0.1:1,${server().url('stomp')}`);
    const queue = freshQueue();
    await broker.publish(message(queue, 'x'));
    expect(await drainAll(broker, queue)).toEqual(['x']);
  });
}

/** What an account may do is the broker's to say, so this holds for its configuration as well. */
function describeRights(as: (account: Account) => Broker): void {
  it('refuses an account what it has no right to, and nothing else', async () => {
    const [apiServer, packager] = [as('api-server'), as('packager')];
    const queue = freshQueue();
    const request = message(PACKAGE_REQUESTS, `http://server/api/docsets/${randomUUID()}`);
    await expect(packager.publish(request)).rejects.toBeInstanceOf(BrokerRefusedError);
    await packager.publish(message(queue, 'Accepted.'));
    await expect(packager.drain(queue, () => Promise.resolve())).rejects.toBeInstanceOf(BrokerRefusedError);
    expect(await drainAll(apiServer, queue)).toEqual(['Accepted.']);
    const reasons: (string | undefined)[] = [];
    const onConnectionChange = ({ reason }: { reason?: string }): void => void reasons.push(reason);
    const consumer = apiServer.consume(PACKAGE_REQUESTS, { prefetch: 1, onConnectionChange }, () => Promise.resolve());
    await until('the consumer is refused', () => reasons.length > 0);
    await consumer.abandon();
    expect(reasons[0]).toMatch(/refused/);
  });
}

function describeDeadLetters(
  connect: () => Broker,
  server: () => RunningBroker,
  { dialect, afterRefusal }: BrokerRow,
): void {
  it('keeps what could not be read, with the reason, on the queue for dead letters', async () => {
    const broker = connect();
    const text = randomUUID();
    await broker.publish(deadLetterMessage({ headers: { status: 'x' }, body: text }, freshQueue(), 'no such word'));
    const letters = await drainAll(broker, DEAD_LETTERS);
    expect(letters.find((letter) => letter.includes(text))).toMatch(/^Unreadable: no such word\n/);
  });

  // Each broker does something else, so Adit never refuses; a packager of another make may.
  it(`makes of a request that is refused (NACK): ${afterRefusal}`, async () => {
    const broker = connect();
    const text = `http://server/api/docsets/${randomUUID()}?fmt=meta`;
    await broker.publish(message(DELETE_REQUESTS, text, { persistent: true }));
    const peer = await connectStomp(server().url('stomp'));
    await peer.request('SUBSCRIBE', {
      id: '1',
      destination: dialectOf('', dialect).spell(DELETE_REQUESTS),
      ack: 'client-individual',
    });
    await peer.request('NACK', { id: (await peer.message(DEADLINE)).headers['ack'] ?? '' });
    if (afterRefusal === 'delivered again') expect((await peer.message(DEADLINE)).body).toBe(text);
    await peer.disconnect();
    const left = await drainAll(broker, DELETE_REQUESTS);
    expect(left).toEqual(afterRefusal === 'delivered again' ? [text] : []);
    const isDead = async (): Promise<boolean> => (await drainAll(broker, DEAD_LETTERS)).includes(text);
    if (afterRefusal === 'a dead letter') await waitUntil('it is a dead letter', isDead, { deadlineMs: DEADLINE });
    else expect(await isDead()).toBe(false);
  });
}
