/** One subscription of one connection: what it holds, and what it may still be given. */
import { encodeFrame, type HeaderList } from './frame-encoder.js';
import { messageId, type StoredMessage } from './message.js';
import type { Drain, Queue } from './queue.js';
import type { Queues, ReturnCause } from './queues.js';

export type AckMode = 'auto' | 'client' | 'client-individual';

export interface Subscription extends Drain {
  readonly id: string;
  readonly queue: Queue;
  /** Takes what the acknowledgement covers off what it holds; undefined for an id that it does not hold. */
  take(ackId: string): StoredMessage[] | undefined;
  /** Ends it: what it holds goes back to the queue. */
  close(cause: Exclude<ReturnCause, 'drain gone'>): void;
}

export interface SubscriptionOptions {
  id: string;
  queue: Queue;
  queues: Queues;
  mode: AckMode;
  /** Unacknowledged messages at a time. */
  window: number;
  isDrain: boolean;
  /** True while the socket keeps up. */
  isWritable: () => boolean;
  send: (frame: Buffer) => void;
  /** A name for the delivery, unique on the connection. */
  nextAckId: () => string;
}

export function openSubscription(options: SubscriptionOptions): Subscription {
  const { id, queue, queues, mode, window, isDrain, isWritable, send, nextAckId } = options;
  const held = new Map<string, StoredMessage>();

  const subscription: Subscription = {
    id,
    queue,
    wants: () => held.size < window && isWritable(),
    deliver(message) {
      if (mode === 'auto') {
        send(messageFrame(message, id));
        queues.acknowledge(queue, [message]);
        return;
      }
      const ackId = nextAckId();
      held.set(ackId, message);
      send(messageFrame(message, id, ackId));
    },
    end() {
      send(encodeFrame('MESSAGE', drainEndHeaders(id, queue.name)));
    },
    take(ackId) {
      const message = held.get(ackId);
      if (message === undefined) return undefined;
      // "the ACK operates on the message specified and all messages sent to the subscription before it" (ack:client)
      const taken: StoredMessage[] = [];
      for (const [each, earlier] of mode === 'client' ? held : [[ackId, message] as const]) {
        held.delete(each);
        taken.push(earlier);
        if (each === ackId) break;
      }
      return taken;
    },
    close(cause) {
      const back = [...held.values()];
      held.clear();
      queue.remove(subscription);
      queues.giveBack(queue, back, isDrain ? 'drain gone' : cause);
      queue.dispatch();
      if (isDrain && queue.untouched) queues.removeIfIdle(queue);
    },
  };

  if (isDrain) queue.addDrain(subscription);
  else queue.addConsumer(subscription);
  return subscription;
}

/** Headers that the broker sets; a sender's own of these names would mislead the receiver. */
export const BROKER_HEADERS: ReadonlySet<string> = new Set(
  'destination subscription message-id ack redelivered redelivery-count drain-end look-end timestamp content-length'.split(
    ' ',
  ),
);

export function messageFrame(message: StoredMessage, subscription: string, ackId?: string): Buffer {
  const headers: [string, string][] = [
    ['subscription', subscription],
    ['message-id', messageId(message)],
    ['destination', message.queue],
  ];
  if (ackId !== undefined) headers.push(['ack', ackId]);
  if (message.redelivered) {
    headers.push(['redelivered', 'true'], ['redelivery-count', String(message.redeliveries)]);
  }
  return encodeFrame('MESSAGE', [...headers, ...message.headers], message.body);
}

function drainEndHeaders(subscription: string, destination: string): HeaderList {
  return [
    ['subscription', subscription],
    ['message-id', `drain-end-${subscription}`],
    ['destination', destination],
    ['drain-end', 'true'],
  ];
}
