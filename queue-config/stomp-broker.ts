/** The broker port over STOMP 1.2. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { IMessage } from '@stomp/stompjs';
import pRetry from 'p-retry';
import {
  BrokerUnavailableError,
  type Broker,
  type ConsumeOptions,
  type Consumer,
  type Delivery,
  type OutgoingMessage,
} from './broker.js';
import type { DialectName } from './dialect.js';
import { parseBrokerUrls, type BrokerAddress } from './broker-url.js';
import type { Destination } from './destinations.js';
import { createConnectionPool } from './connection-pool.js';
import { drainQueue } from './drain.js';
import { received } from './received.js';
import { connect, type ConnectionOptions, type StompConnection, type Subscription } from './stomp-connection.js';

export interface BrokerOptions {
  /** One URL, or several separated by commas that fail over in this order. */
  urls: string;
  /** Milliseconds until a broker must have answered; default 3,000. */
  connectTimeoutMs?: number;
  /** Milliseconds until a receipt must have come; default 10,000. */
  receiptTimeoutMs?: number;
  /** Instead of the broker that the CONNECTED frame names: which one it is like. */
  dialect?: DialectName | undefined;
  /** PEM certificates that are trusted beside those that Node.js trusts. */
  authority?: string | undefined;
  /** Told, for the log, when a broker has answered for the first time, or as another one than before. */
  onRecognised?: (broker: RecognisedBroker) => void;
}

/** Which broker answered, and how it is spoken to. */
export interface RecognisedBroker {
  readonly url: string;
  /** As it calls itself. */
  readonly server: string;
  readonly dialect: DialectName;
  /** True where the configuration said so, and not the broker. */
  readonly forced: boolean;
}

/** Short-lived connections beat fast, so that a frozen drainer is given up before others time out. */
const SHORT_HEARTBEAT = 2_000;
const HELD_HEARTBEAT = 5_000;

/** Pauses after a delivery that was given back, in milliseconds: it would come again at once. */
const FIRST_PAUSE = 50;
const LONGEST_PAUSE = 30_000;

/**
 * Opens the port. Nothing is connected until it is used, and only `consume` keeps a connection.
 * @throws {RangeError} for a URL that cannot be one of a broker
 */
export function openBroker({
  urls,
  connectTimeoutMs = 3_000,
  receiptTimeoutMs = 10_000,
  dialect,
  authority,
  onRecognised,
}: BrokerOptions): Broker {
  const addresses = parseBrokerUrls(urls);
  const consumers = new Set<Consumer>();
  // The address that answered last is asked first, or each operation would wait for the dead one.
  let preferred = 0;

  const known = new Map<string, string>();
  const tell = ({ url, connected, dialect: { name } }: StompConnection): void => {
    const server = connected['server'] ?? '';
    if (known.get(url) === server) return;
    known.set(url, server);
    onRecognised?.({ url, server, dialect: name, forced: dialect !== undefined });
  };

  const connectAny = async (heartbeatMs: number): Promise<StompConnection> => {
    const options: ConnectionOptions = { connectTimeoutMs, receiptTimeoutMs, heartbeatMs, dialect, authority };
    let failure: unknown;
    for (let step = 0; step < addresses.length; step++) {
      const index = (preferred + step) % addresses.length;
      try {
        const connection = await connect(addresses[index] as BrokerAddress, options);
        preferred = index;
        tell(connection);
        return connection;
      } catch (error) {
        failure ??= error;
      }
    }
    throw failure;
  };

  const pool = createConnectionPool(() => connectAny(SHORT_HEARTBEAT));

  return {
    publish: (message) => pool.use((connection) => sendOn(connection, message)),
    consume(destination, options, onDelivery) {
      const consumer = startConsumer(() => connectAny(HELD_HEARTBEAT), destination, options, onDelivery);
      consumers.add(consumer);
      return consumer;
    },
    drain: (destination, onBatch, options = {}) =>
      pool.use((connection) => drainQueue(connection, destination, onBatch, options)),
    async close() {
      pool.close();
      await Promise.all([...consumers].map((consumer) => consumer.abandon()));
      consumers.clear();
    },
  };
}

function sendOn(connection: StompConnection, message: OutgoingMessage): Promise<void> {
  const headers = {
    ...connection.dialect.sendHeaders(message.destination),
    ...message.headers,
    ...replyAddress(connection, message.headers),
    // Left out rather than `persistent:false`, which some brokers read as something else.
    ...(message.persistent ? { persistent: 'true' } : {}),
    ...(message.expires === undefined ? {} : connection.dialect.expiryHeaders(message.expires)),
  };
  const { dialect } = connection;
  return connection.send((dialect.spellForSend ?? dialect.spell)(message.destination), headers, message.body);
}

/** RabbitMQ breaks off at an address that it cannot read. */
function replyAddress({ dialect }: StompConnection, headers: OutgoingMessage['headers']): Record<string, string> {
  const address = headers['reply-to'];
  return address === undefined || dialect.canonical === undefined
    ? {}
    : { 'reply-to': dialect.spell(address as Destination) };
}

function startConsumer(
  connectAny: () => Promise<StompConnection>,
  destination: Destination,
  { prefetch, onConnectionChange }: ConsumeOptions,
  onDelivery: (delivery: Delivery) => Promise<void>,
): Consumer {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  /** From when it is opened: a delivery may come before its subscription is confirmed, and a stop with it. */
  let current: StompConnection | undefined;
  let subscriptions: readonly Subscription[] = [];
  let isSubscribed = false;
  let isReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => (isReady = resolve));

  const isStopping = (): boolean => stopping.signal.aborted;

  // Deliveries in a row that nobody could handle: the next one is not asked for at once.
  let givenBack = 0;

  const subscribeOnce = async (): Promise<StompConnection> => {
    const connection = await connectAny();
    if (stopping.signal.aborted) {
      connection.drop(new BrokerUnavailableError('the consumer was stopped'));
      throw new BrokerUnavailableError('the consumer was stopped');
    }
    current = connection;
    subscriptions = [];
    try {
      const onMessage = (message: IMessage): void => {
        if (stopping.signal.aborted) return;
        const { delivery, end } = deliveryOf(connection, message, connectAny);
        const work = onDelivery(delivery).then(
          () => {
            givenBack = 0;
          },
          (error: unknown) => {
            givenBack += 1;
            connection.drop(new BrokerUnavailableError('a delivery was given back', { cause: error }));
          },
        );
        running.add(work);
        void work.then(end).finally(() => running.delete(work));
      };
      const { dialect } = connection;
      const name = dialect.spell(destination);
      subscriptions = dialect
        .prefetch(prefetch)
        .map((headers) => connection.subscribe(name, { ack: 'client-individual', ...headers }, onMessage));
      await Promise.all(subscriptions.map(({ confirmed }) => confirmed));
    } catch (error) {
      connection.drop(error as Error);
      throw error;
    }
    return connection;
  };

  const keepSubscribed = async (): Promise<void> => {
    while (!isStopping()) {
      const connection = await pRetry(subscribeOnce, {
        retries: Infinity,
        minTimeout: 100,
        maxTimeout: 5_000,
        factor: 2,
        randomize: true,
        signal: stopping.signal,
        onFailedAttempt: ({ error }) => onConnectionChange?.({ connected: false, url: '', reason: error.message }),
      });
      isSubscribed = true;
      onConnectionChange?.({ connected: true, url: connection.url });
      isReady();
      await aborted(connection.lost);
      isSubscribed = false;
      if (isStopping()) return;
      const reason = (connection.lost.reason as Error).message;
      onConnectionChange?.({ connected: false, url: connection.url, reason });
      const pause = givenBack === 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** givenBack);
      await sleep(pause, undefined, { signal: stopping.signal });
    }
  };
  const loop = keepSubscribed().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });

  /** What came and was not begun is on its queue again when this is over; Artemis confirms the end of a connection before that. */
  const leave = async (connection: StompConnection): Promise<void> => {
    try {
      if (connection.dialect.drain.leave === 'unsubscribe') await Promise.all(subscriptions.map((each) => each.end()));
      await connection.close();
    } catch (error) {
      connection.drop(error as Error);
    }
  };

  return {
    get connected() {
      return isSubscribed;
    },
    ready,
    async stop() {
      stopping.abort();
      await Promise.allSettled(running);
      if (current !== undefined) await leave(current);
      await loop;
    },
    async abandon() {
      stopping.abort();
      current?.drop(new BrokerUnavailableError('the consumer was abandoned'));
      await Promise.allSettled(running);
      await loop;
    },
  };
}

/** A delivery, and what ends all that belongs to it. */
function deliveryOf(
  connection: StompConnection,
  message: Parameters<StompConnection['ack']>[0],
  connectAny: () => Promise<StompConnection>,
): { delivery: Delivery; end: () => Promise<void> } {
  let acknowledged: Promise<void> | undefined;
  let own: Promise<StompConnection> | undefined;
  const openOwn = async (): Promise<StompConnection> => {
    const opened = await connectAny();
    // Whoever has lost the delivery cannot speak for it on another connection.
    const cut = (): void => opened.drop(connection.lost.reason as Error);
    connection.lost.addEventListener('abort', cut, { once: true });
    opened.lost.addEventListener('abort', () => connection.lost.removeEventListener('abort', cut), { once: true });
    if (connection.lost.aborted) cut();
    return opened;
  };
  /** It may fail alone, or not be opened at all: the next message then opens another. */
  const standingOwn = (): Promise<StompConnection> => {
    if (own !== undefined) return own;
    const forget = (): void => {
      own = undefined;
    };
    own = openOwn();
    own.then(({ lost }) => lost.addEventListener('abort', forget, { once: true }), forget);
    return own;
  };
  const delivery: Delivery = {
    message: received(connection, message),
    lost: connection.lost,
    async publish(outgoing) {
      const isApart = connection.dialect.publishesApart === true;
      return sendOn(isApart ? await standingOwn() : connection, outgoing);
    },
    ack: () => (acknowledged ??= connection.ack(message)),
  };
  return {
    delivery,
    // All that went over it is confirmed.
    end: async () => own?.then((opened) => opened.close()).catch(() => undefined),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
