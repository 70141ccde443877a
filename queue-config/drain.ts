/**
 * Reads a queue to its end. STOMP has no "queue empty", and an idle time-out is both slow and wrong, so the end is a message:
 * one that the broker sends after the last (the embedded broker), or a fence that we send ourselves (ActiveMQ).
 */
import { randomUUID } from 'node:crypto';
import type { IMessage } from '@stomp/stompjs';
import { BrokerUnavailableError, type DrainOptions, type DrainReport, type ReceivedMessage } from './broker.js';
import type { Destination } from './destinations.js';
import type { StompConnection } from './stomp-connection.js';

/** ActiveMQ stops dispatching at 200 unacknowledged messages, so a fence behind them would never come. */
const BATCH = 100;
/** The fence expires, in case we die before we meet it. Long enough for clocks that are half a minute apart. */
const FENCE_TTL = 60_000;
const DEFAULT_TIMEOUT = 5_000;

/** See `Broker.drain`. The connection is this call's own and ends with it. */
export async function drainQueue(
  connectAny: () => Promise<StompConnection>,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
  { signal, timeoutMs = DEFAULT_TIMEOUT }: DrainOptions,
): Promise<DrainReport> {
  signal?.throwIfAborted();
  const connection = await connectAny();
  const deadline = setTimeout(
    () => connection.drop(new BrokerUnavailableError(`${destination} had no end within ${timeoutMs} ms`)),
    timeoutMs,
  );
  const cut = (): void => connection.drop(signal?.reason as Error);
  signal?.addEventListener('abort', cut, { once: true });
  try {
    const drained = await readToEnd(connection, destination, onBatch);
    // Confirms the last acknowledgement.
    await connection.close();
    return { drained };
  } catch (error) {
    // What was not acknowledged goes back to the queue as soon as the connection is gone.
    connection.drop(error as Error);
    throw error;
  } finally {
    clearTimeout(deadline);
    signal?.removeEventListener('abort', cut);
  }
}

async function readToEnd(
  connection: StompConnection,
  destination: Destination,
  onBatch: (messages: ReceivedMessage[]) => Promise<void>,
): Promise<number> {
  const inbox = createInbox(connection.lost);
  const isEnd = subscribeForDrain(connection, destination, inbox.put);
  let drained = 0;
  let batch: IMessage[] = [];
  for (;;) {
    const message = await inbox.take();
    const end = isEnd(message);
    if (!end) batch.push(message);
    if (batch.length < BATCH && !end) continue;
    if (batch.length > 0) await onBatch(batch.map(({ headers, body }) => ({ headers, body })));
    // Acknowledgement is cumulative: the last one covers all before it. The fence is a message, the marker is not.
    const last = end && connection.dialect.drainEnd === 'fence' ? message : batch.at(-1);
    if (last !== undefined) connection.ackUnconfirmed(last);
    drained += batch.length;
    if (end) return drained;
    batch = [];
  }
}

/** Subscribes, and returns the test for the end. */
function subscribeForDrain(
  connection: StompConnection,
  destination: Destination,
  onMessage: (message: IMessage) => void,
): (message: IMessage) => boolean {
  const name = connection.dialect.spell(destination);
  // A subscription that is refused fails the connection, and with it the drain.
  const subscribe = (headers: Record<string, string>): void =>
    void connection.subscribe(name, headers, onMessage).catch((error: unknown) => connection.drop(error as Error));
  if (connection.dialect.drainEnd === 'marker') {
    subscribe({ ack: 'client', 'adit-drain': 'true' });
    return (message) => message.headers['drain-end'] === 'true';
  }
  const fence = randomUUID();
  connection.sendUnconfirmed(
    name,
    { ...connection.dialect.sendHeaders, fence, expires: String(Date.now() + FENCE_TTL) },
    'fence',
  );
  subscribe({
    ack: 'client',
    // One drainer at a time; others' fences, even those left by the dead, do not concern us.
    'activemq.exclusive': 'true',
    selector: `fence IS NULL OR fence = '${fence}'`,
  });
  return (message) => message.headers['fence'] === fence;
}

interface Inbox {
  put: (message: IMessage) => void;
  /** The next message; rejects with the reason when the connection is lost. */
  take: () => Promise<IMessage>;
}

function createInbox(lost: AbortSignal): Inbox {
  const waiting: IMessage[] = [];
  let wake: (() => void) | undefined;
  lost.addEventListener('abort', () => wake?.(), { once: true });
  return {
    put(message) {
      waiting.push(message);
      wake?.();
    },
    async take() {
      for (;;) {
        const message = waiting.shift();
        if (message !== undefined) return message;
        if (lost.aborted) throw lost.reason;
        await new Promise<void>((resolve) => (wake = resolve));
        wake = undefined;
      }
    },
  };
}
