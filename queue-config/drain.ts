/**
 * Reads a queue to its end. STOMP has no "queue empty", and an idle time-out is both slow and wrong, so the end is a message:
 * one that the broker sends after the last, or a fence that we send ourselves. Each broker's `dialect.ts` says which.
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
import { giveBackHeaders, leaveNothing } from './give-back.js';
import { patience } from './patience.js';
import { received } from './received.js';
import type { StompConnection, Subscription } from './stomp-connection.js';

/** ActiveMQ stops dispatching at 200 unacknowledged messages, so a fence behind them would never come. */
const BATCH = 100;
/** A batch of long messages has fewer of them: so many characters, and the rest of the last one. */
const BATCH_CHARACTERS = 1024 * 1024;
/** The fence expires, in case we die before we meet it. Long enough for clocks that are half a minute apart. */
const FENCE_TTL = 60_000;
const DEFAULT_TIMEOUT = 5_000;
const NO_LIMIT: DrainLimit = { messages: Infinity, characters: Infinity };
/** Milliseconds until the fence of another drain is given back: from one to as many, or two drains would take turns for long. */
const PAUSE = 4;

/** See `Broker.drain`. The connection is this call's own while it runs; where this throws, the caller cuts it. */
export async function drainQueue(
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  { signal, timeoutMs = DEFAULT_TIMEOUT, limit = NO_LIMIT, onUnconfirmed }: DrainOptions,
): Promise<DrainReport> {
  signal?.throwIfAborted();
  const endWait = patience(timeoutMs, () =>
    connection.drop(new BrokerUnavailableError(`${destination} had no end within ${timeoutMs} ms`)),
  );
  const cut = (): void => connection.drop(signal?.reason as Error);
  signal?.addEventListener('abort', cut, { once: true });
  try {
    return await readToEnd(connection, destination, onBatch, { limit, onUnconfirmed });
  } finally {
    endWait();
    signal?.removeEventListener('abort', cut);
  }
}

type ReadOptions = Pick<DrainOptions, 'onUnconfirmed'> & { limit: DrainLimit };

async function readToEnd(
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  options: ReadOptions,
): Promise<DrainReport> {
  const inbox = createInbox();
  const onLost = (): void => inbox.fail(connection.lost.reason as Error);
  connection.lost.addEventListener('abort', onLost, { once: true });
  if (connection.lost.aborted) onLost();
  try {
    return await readFrom(inbox, connection, destination, onBatch, options);
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
  { limit, onUnconfirmed }: ReadOptions,
): Promise<DrainReport> {
  const { drain: rules } = connection.dialect;
  const { subscription, kindOf } = subscribeForDrain(connection, destination, inbox.put);
  // A subscription that is refused fails the connection, and with it the drain.
  subscription.confirmed.catch((error: unknown) => connection.drop(error as Error));
  const guests = keepGuests(connection);
  const read = { messages: 0, characters: 0 };
  let batch: IMessage[] = [];
  let batchCharacters = 0;
  for (;;) {
    const message = await inbox.take();
    const kind = kindOf(message);
    if (kind === 'other-fence') {
      guests.keepForAMoment(message);
      continue;
    }
    if (kind === 'message') {
      batch.push(message);
      batchCharacters += message.body.length;
    }
    if (batch.length < BATCH && batchCharacters < BATCH_CHARACTERS && kind !== 'end') continue;
    if (batch.length > 0) await onBatch(batch.map((each) => received(connection, each)));
    read.messages += batch.length;
    read.characters += batchCharacters;
    // The fence is a message, the marker is not.
    const done = kind === 'end' && rules.end === 'fence' ? [...batch, message] : batch;
    batch = [];
    batchCharacters = 0;
    const isFull = read.messages >= limit.messages || read.characters >= limit.characters;
    if (kind !== 'end' && !isFull) {
      acknowledge(connection, done);
      continue;
    }
    const acknowledged = acknowledgeConfirmed(connection, done);
    guests.stay();
    if (rules.leave !== 'unsubscribe') {
      const isEmptyHanded = kind === 'end' && guests.count() === 0 && inbox.isEmpty();
      await leaveNothing(connection, rules.leave, { subscription, acknowledged, isEmptyHanded, last: message });
    } else if (kind === 'end') {
      const left = Promise.all([acknowledged, subscription.end()]);
      if (onUnconfirmed === undefined) await left;
      else endUnconfirmed(connection, left, onUnconfirmed);
    } else {
      await acknowledged;
      // What was sent to us beyond goes back to the queue, as our fence would not.
      await connection.close();
    }
    return { drained: read.messages, isComplete: kind === 'end' };
  }
}

/** The drain is over before the broker has confirmed that. Whatever comes next on the connection comes behind it. */
function endUnconfirmed(
  connection: StompConnection,
  left: Promise<unknown>,
  onUnconfirmed: (error: unknown) => void,
): void {
  left.catch((error: unknown) => {
    connection.drop(error as Error);
    onUnconfirmed(error);
  });
}

/** Those of `messages` with whose acknowledgement all of them are acknowledged. */
const toAcknowledge = ({ dialect }: StompConnection, messages: readonly IMessage[]): readonly IMessage[] =>
  dialect.drain.ack === 'client' ? messages.slice(-1) : messages;

function acknowledge(connection: StompConnection, messages: readonly IMessage[]): void {
  for (const message of toAcknowledge(connection, messages)) connection.ackUnconfirmed(message);
}

/** Resolves when they are acknowledged on the broker's disk, and all before them: the receipt of the last one says so. */
async function acknowledgeConfirmed(connection: StompConnection, messages: readonly IMessage[]): Promise<void> {
  const all = toAcknowledge(connection, messages);
  for (const message of all.slice(0, -1)) connection.ackUnconfirmed(message);
  const last = all.at(-1);
  if (last !== undefined) await connection.ack(last);
}

type Kind = 'message' | 'end' | 'other-fence';

/** Subscribes, and returns with the subscription what each message is to this drain. */
function subscribeForDrain(
  connection: StompConnection,
  destination: Destination,
  onMessage: (message: IMessage) => void,
): { subscription: Subscription; kindOf: (message: IMessage) => Kind } {
  const { dialect } = connection;
  const { drain: rules } = dialect;
  const name = dialect.spell(destination);
  const fence = randomUUID();
  if (rules.end === 'fence') {
    const expiry = dialect.expiryHeaders(Date.now() + FENCE_TTL);
    connection.sendUnconfirmed(name, { ...dialect.sendHeaders(destination), ...expiry, fence }, 'fence');
  }
  const headers = { ack: rules.ack, ...rules.subscribeHeaders(fence, BATCH) };
  const subscription = connection.subscribe(name, headers, onMessage);
  const kindOf = ({ headers }: IMessage): Kind => {
    if (rules.end === 'marker') return rules.isMarker(headers) ? 'end' : 'message';
    if (headers['fence'] === undefined) return 'message';
    return headers['fence'] === fence ? 'end' : 'other-fence';
  };
  return { subscription, kindOf };
}

/** Others' fences. Given back at once, they would come again at once. */
function keepGuests(connection: StompConnection) {
  const timers = new Set<NodeJS.Timeout>();
  return {
    keepForAMoment(fence: IMessage): void {
      const timer = setTimeout(
        () => {
          timers.delete(timer);
          connection.giveBack(fence, giveBackHeaders(connection));
        },
        1 + Math.random() * (PAUSE - 1),
      );
      timers.add(timer);
    },
    /** Those that are here stay until the connection ends. */
    stay: (): void => timers.forEach((timer) => clearTimeout(timer)),
    count: (): number => timers.size,
  };
}

interface Inbox {
  /** True where nothing came that was not taken. */
  isEmpty: () => boolean;
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
    isEmpty: () => waiting.length === 0,
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
