/** One queue: who gets which message, and when. */
import { isExpired, type StoredMessage } from './message.js';
import { createReadyList } from './ready-list.js';

/** A subscription as the queue sees it. */
export interface Taker {
  /** True while it has credit left and its socket keeps up. */
  wants(): boolean;
  deliver(message: StoredMessage): void;
}

/** A subscription that reads what is there and is told when that was all. */
export interface Drain extends Taker {
  end(): void;
}

export interface Queue {
  readonly name: string;
  /** Messages, those that somebody holds included. */
  readonly depth: number;
  readonly unacknowledged: number;
  readonly consumers: number;
  /** Since when it has had neither message nor consumer, in milliseconds since the epoch; undefined while it has. */
  readonly idleSince: number | undefined;
  /** True while it has never had a message or a consumer, drains aside. */
  readonly untouched: boolean;
  push(message: StoredMessage): void;
  addConsumer(taker: Taker): void;
  addDrain(drain: Drain): void;
  remove(taker: Taker): void;
  /** Some that were held are done with. */
  settle(count: number): void;
  /** Some that were held are free again: they go where they were, ahead of what is newer. */
  putBack(messages: readonly StoredMessage[]): void;
  /** The first messages that nobody holds, where they are. */
  look(count: number): StoredMessage[];
  /** Hands out what somebody wants. */
  dispatch(): void;
  dropExpired(now: number): void;
}

export interface QueueOptions {
  name: string;
  /** Told of messages that expired. */
  onExpired: (messages: readonly StoredMessage[]) => void;
  /** The sequence of the newest message of the broker. */
  newest: () => number;
}

export function createQueue({ name, onExpired, newest }: QueueOptions): Queue {
  const ready = createReadyList();
  const consumers: Taker[] = [];
  // Drains exclude each other: the first one reads, the others wait for their turn.
  const drains: Drain[] = [];
  let reading: { until: number; ended: boolean } | undefined;
  let held = 0;
  let turn = 0;
  let untouched = true;
  let idleSince: number | undefined = Date.now();

  function noteUse(): void {
    const idle = held === 0 && ready.length === 0 && consumers.length === 0 && drains.length === 0;
    if (!idle) idleSince = undefined;
    else idleSince ??= Date.now();
  }

  /** The oldest message that may still be seen. */
  function first(): StoredMessage | undefined {
    for (;;) {
      const message = ready.first();
      if (message === undefined || !isExpired(message, Date.now())) return message;
      ready.shift();
      onExpired([message]);
    }
  }

  function handTo(taker: Taker): void {
    const message = ready.shift();
    if (message === undefined) return;
    held++;
    taker.deliver(message);
  }

  /** What was on the queue when the drain's turn came, then the end. What comes meanwhile is for the next one. */
  function serveDrain(): void {
    const drain = drains[0];
    if (drain === undefined) return;
    reading ??= { until: newest(), ended: false };
    while (!reading.ended) {
      const message = first();
      if (message === undefined || message.sequence > reading.until) {
        reading.ended = true;
        drain.end();
      } else if (drain.wants()) {
        handTo(drain);
      } else {
        return;
      }
    }
  }

  /** Round robin over those that have credit. */
  function nextConsumer(): Taker | undefined {
    for (let step = 0; step < consumers.length; step++) {
      const index = (turn + step) % consumers.length;
      const consumer = consumers[index];
      if (consumer?.wants() === true) {
        turn = index + 1;
        return consumer;
      }
    }
    return undefined;
  }

  function serveConsumers(): void {
    while (first() !== undefined) {
      const consumer = nextConsumer();
      if (consumer === undefined) return;
      handTo(consumer);
    }
  }

  return {
    name,
    get depth() {
      return ready.length + held;
    },
    get unacknowledged() {
      return held;
    },
    get consumers() {
      return consumers.length + drains.length;
    },
    get idleSince() {
      return idleSince;
    },
    get untouched() {
      return untouched;
    },
    push(message) {
      untouched = false;
      ready.push(message);
      noteUse();
    },
    addConsumer(taker) {
      untouched = false;
      consumers.push(taker);
      noteUse();
    },
    addDrain(drain) {
      drains.push(drain);
      noteUse();
    },
    remove(taker) {
      const consumer = consumers.indexOf(taker);
      if (consumer >= 0) {
        consumers.splice(consumer, 1);
        if (turn > consumer) turn--;
      }
      const drain = drains.findIndex((other) => other === taker);
      if (drain >= 0) drains.splice(drain, 1);
      if (drain === 0) reading = undefined;
      noteUse();
    },
    settle(count) {
      held -= count;
      noteUse();
    },
    putBack(messages) {
      held -= messages.length;
      ready.putBack(messages);
      noteUse();
    },
    look: (count) => ready.head(count).filter((message) => !isExpired(message, Date.now())),
    dispatch() {
      serveDrain();
      serveConsumers();
      noteUse();
    },
    dropExpired(now) {
      const expired = ready.takeExpired(now);
      if (expired.length > 0) onExpired(expired);
      noteUse();
    },
  };
}
