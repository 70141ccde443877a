/**
 * Reads a queue to its end. STOMP has no "queue empty", and an idle time-out is both slow and wrong, so the end is a message:
 * one that the broker sends after the last (the embedded broker), or a fence that we send ourselves (ActiveMQ).
 */
import { randomUUID } from 'node:crypto';
import type { IMessage } from '@stomp/stompjs';
import {
  BrokerUnavailableError,
  type DrainLimit,
  type DrainOptions,
  type DrainReport,
  type ReceivedMessage,
} from './broker.js';
import type { Destination } from './destinations.js';
import type { StompConnection, Subscription } from './stomp-connection.js';

/** ActiveMQ stops dispatching at 200 unacknowledged messages, so a fence behind them would never come. */
const BATCH = 100;
/** A batch of long messages has fewer of them: so many characters, and the rest of the last one. */
const BATCH_CHARACTERS = 1024 * 1024;
/** The fence expires, in case we die before we meet it. Long enough for clocks that are half a minute apart. */
const FENCE_TTL = 60_000;
const DEFAULT_TIMEOUT = 5_000;
const NO_LIMIT: DrainLimit = { messages: Infinity, characters: Infinity };

/** See `Broker.drain`. The connection is this call's own while it runs; where this throws, the caller cuts it. */
export async function drainQueue(
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  { signal, timeoutMs = DEFAULT_TIMEOUT, limit = NO_LIMIT }: DrainOptions,
): Promise<DrainReport> {
  signal?.throwIfAborted();
  const deadline = setTimeout(
    () => connection.drop(new BrokerUnavailableError(`${destination} had no end within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const cut = (): void => connection.drop(signal?.reason as Error);
  signal?.addEventListener('abort', cut, { once: true });
  try {
    return await readToEnd(connection, destination, onBatch, limit);
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener('abort', cut);
  }
}

async function readToEnd(
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  limit: DrainLimit,
): Promise<DrainReport> {
  const inbox = createInbox();
  const onLost = (): void => inbox.fail(connection.lost.reason as Error);
  connection.lost.addEventListener('abort', onLost, { once: true });
  if (connection.lost.aborted) onLost();
  try {
    return await readFrom(inbox, connection, destination, onBatch, limit);
  } finally {
    // The connection may live on and serve many more.
    connection.lost.removeEventListener('abort', onLost);
  }
}

async function readFrom(
  inbox: Inbox,
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  limit: DrainLimit,
): Promise<DrainReport> {
  const { subscription, isEnd } = subscribeForDrain(connection, destination, inbox.put);
  // A subscription that is refused fails the connection, and with it the drain.
  subscription.confirmed.catch((error: unknown) => connection.drop(error as Error));
  const read = { messages: 0, characters: 0 };
  let batch: IMessage[] = [];
  let batchCharacters = 0;
  for (;;) {
    const message = await inbox.take();
    const end = isEnd(message);
    if (!end) {
      batch.push(message);
      batchCharacters += message.body.length;
    }
    if (batch.length < BATCH && batchCharacters < BATCH_CHARACTERS && !end) continue;
    if (batch.length > 0) await onBatch(batch.map(({ headers, body }) => ({ headers, body })));
    // Acknowledgement is cumulative: the last one covers all before it. The fence is a message, the marker is not.
    const last = end && connection.dialect.drainEnd === 'fence' ? message : batch.at(-1);
    read.messages += batch.length;
    read.characters += batchCharacters;
    if (end) {
      // The receipt of an acknowledgement says that it is on the broker's disk, and all before it.
      const acknowledged = last === undefined ? undefined : connection.ack(last);
      await Promise.all([acknowledged, subscription.end()]);
      return { drained: read.messages, isComplete: true };
    }
    if (last !== undefined && (read.messages >= limit.messages || read.characters >= limit.characters)) {
      await connection.ack(last);
      // What was sent to us beyond goes back to the queue.
      await connection.close();
      return { drained: read.messages, isComplete: false };
    }
    if (last !== undefined) connection.ackUnconfirmed(last);
    batch = [];
    batchCharacters = 0;
  }
}

/** Subscribes, and returns the test for the end with the subscription. */
function subscribeForDrain(
  connection: StompConnection,
  destination: Destination,
  onMessage: (message: IMessage) => void,
): { subscription: Subscription; isEnd: (message: IMessage) => boolean } {
  const name = connection.dialect.spell(destination);
  if (connection.dialect.drainEnd === 'marker') {
    const subscription = connection.subscribe(name, { ack: 'client', 'adit-drain': 'true' }, onMessage);
    return { subscription, isEnd: (message) => message.headers['drain-end'] === 'true' };
  }
  const fence = randomUUID();
  connection.sendUnconfirmed(
    name,
    { ...connection.dialect.sendHeaders(destination), fence, expires: String(Date.now() + FENCE_TTL) },
    'fence',
  );
  const headers = {
    ack: 'client',
    // No more of them in memory than are written in one go.
    ...connection.dialect.prefetchHeaders(BATCH),
    // One drainer at a time; others' fences, even those left by the dead, do not concern us.
    'activemq.exclusive': 'true',
    selector: `fence IS NULL OR fence = '${fence}'`,
  };
  const subscription = connection.subscribe(name, headers, onMessage);
  return { subscription, isEnd: (message) => message.headers['fence'] === fence };
}

interface Inbox {
  put: (message: IMessage) => void;
  /** There will be no further message, for this reason. */
  fail: (reason: Error) => void;
  /** The next message; rejects with the reason where there will be none. */
  take: () => Promise<IMessage>;
}

function createInbox(): Inbox {
  const waiting: IMessage[] = [];
  let failure: Error | undefined;
  let wake: (() => void) | undefined;
  return {
    fail(reason) {
      failure = reason;
      wake?.();
    },
    put(message) {
      waiting.push(message);
      wake?.();
    },
    async take() {
      for (;;) {
        const message = waiting.shift();
        if (message !== undefined) return message;
        if (failure !== undefined) throw failure;
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
    },
  };
}
