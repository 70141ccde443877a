/** All queues of the broker, and the life of a message: sent, handed out, acknowledged, given back, expired, dead. */
import { DEAD_LETTERS } from '../destinations.js';
import { DEAD_LETTER_TTL } from '../delivery-rules.js';
import type { HeaderList } from './frame-encoder.js';
import type { Limits } from './limits.js';
import type { Log } from './log-event.js';
import { isExpired, messageId, sentAt, storeMessage, type StoredMessage } from './message.js';
import { createQueue, type Queue } from './queue.js';
import { overLimit, quoted, Refusal } from './refusal.js';

/** What the queues need of the journal. Writing is in order; `durable` tells when it is on the disk. */
export interface MessageLog {
  /** `replaces`: the message that this one takes the place of, in one indivisible step. */
  put(message: StoredMessage, replaces?: StoredMessage): void;
  remove(messages: readonly StoredMessage[]): void;
  noteRedelivery(message: StoredMessage): void;
}

export interface Letter {
  destination: string;
  headers: HeaderList;
  body: Buffer;
  persistent: boolean;
  expires: number | undefined;
}

export interface QueueFigures {
  name: string;
  /** Messages, those that somebody holds included. */
  depth: number;
  unacknowledged: number;
  consumers: number;
  /** When the first that waits was sent, in milliseconds since the epoch; undefined where nothing waits. */
  oldest: number | undefined;
}

/** Why messages come back from a consumer. Only a consumer that died may have died of them. */
export type ReturnCause = 'consumer lost' | 'consumer left' | 'drain gone';

export interface Queues {
  /** @throws {Refusal} not fatal: bad destination, queue full, memory full */
  send(letter: Letter): void;
  /** The queue of that name, made where it is missing. @throws {Refusal} */
  open(destination: string): Queue;
  /** Removes the queue now if nothing is on it and nobody reads it. */
  removeIfIdle(queue: Queue): void;
  /** Held messages that were acknowledged. */
  acknowledge(queue: Queue, messages: readonly StoredMessage[]): void;
  /** Held messages that a consumer will not have. */
  reject(queue: Queue, messages: readonly StoredMessage[], reason: string): void;
  /** Held messages of a consumer that went away. */
  giveBack(queue: Queue, messages: readonly StoredMessage[], cause: ReturnCause): void;
  /** Drops what has expired, and queues that were idle for long. */
  sweep(now: number): void;
  /** Everything that has to survive, for a compacted journal. */
  persistentMessages(): StoredMessage[];
  /** The first messages of a queue that nobody holds; they stay. A queue that is not there is not made. */
  look(destination: string, count: number): StoredMessage[];
  statistics(): QueueFigures[];
}

const DESTINATION = /^\/queue\/[A-Za-z0-9_\-/]+$/;
const LONGEST_DESTINATION = 255;

export function createQueues({
  limits,
  journal,
  recovered,
  log,
}: {
  limits: Limits;
  journal: MessageLog;
  recovered: readonly StoredMessage[];
  log: Log;
}): Queues {
  const queues = new Map<string, Queue>();
  // What the journal has to keep, by sequence.
  const persistent = new Map<number, StoredMessage>();
  let memory = 0;
  // Starts with the clock, so that no id comes twice even when a compacted journal has forgotten the last one.
  let sequence = Math.max(Date.now() * 1_000, ...recovered.slice(-1).map((message) => message.sequence));

  function open(destination: string): Queue {
    const known = queues.get(destination);
    if (known !== undefined) return known;
    checkDestination(destination);
    if (queues.size >= limits.queues) throw overLimit('this broker', limits.queues, 'queues', { fatal: false });
    return queueNamed(destination);
  }

  /** For names that are known to be right, and must not fail. */
  function queueNamed(destination: string): Queue {
    const known = queues.get(destination);
    if (known !== undefined) return known;
    const queue = createQueue({ name: destination, onExpired: forget, newest: () => sequence });
    queues.set(destination, queue);
    return queue;
  }

  function add(queue: Queue, message: StoredMessage): void {
    memory += message.bytes;
    if (message.persistent) persistent.set(message.sequence, message);
    queue.push(message);
  }

  function forget(messages: readonly StoredMessage[]): void {
    for (const message of messages) memory -= message.bytes;
    const kept = messages.filter((message) => persistent.delete(message.sequence));
    if (kept.length > 0) journal.remove(kept);
  }

  function deadLetter(message: StoredMessage, reason: string): void {
    const id = messageId(message);
    const graveyard = queueNamed(DEAD_LETTERS);
    if (message.queue === DEAD_LETTERS || graveyard.depth >= limits.queueDepth) {
      log({ event: 'dead-letter-dropped', message: id, reason });
      forget([message]);
      return;
    }
    const own = new Set(['original-destination', 'original-message-id', 'reason', 'expires']);
    const expires = Date.now() + DEAD_LETTER_TTL;
    const dead = storeMessage({
      ...message,
      sequence: ++sequence,
      queue: DEAD_LETTERS,
      headers: [
        ...message.headers.filter(([name]) => !own.has(name)),
        ['original-destination', message.queue],
        ['original-message-id', id],
        ['reason', reason],
        ['expires', String(expires)],
      ],
      expires,
      redelivered: false,
      redeliveries: 0,
      journalBytes: 0,
    });
    memory -= message.bytes;
    persistent.delete(message.sequence);
    if (dead.persistent) journal.put(dead, message);
    add(graveyard, dead);
    graveyard.dispatch();
    log({ event: 'dead-lettered', queue: message.queue, message: id, reason });
  }

  for (const message of recovered) {
    if (isExpired(message, Date.now())) journal.remove([message]);
    else add(queueNamed(message.queue), message);
  }

  return {
    open,
    send(letter) {
      const queue = open(letter.destination);
      const { headers, body, persistent: keep, expires } = letter;
      const message = storeMessage({
        sequence: sequence + 1,
        queue: queue.name,
        headers,
        body,
        persistent: keep,
        expires,
      });
      if (queue.depth >= limits.queueDepth) {
        throw overLimit(`queue ${queue.name}`, limits.queueDepth, 'messages', { fatal: false });
      }
      if (memory + message.bytes > limits.memoryBytes) {
        throw overLimit('the memory for messages', limits.memoryBytes, 'bytes', { fatal: false });
      }
      sequence++;
      if (isExpired(message, Date.now())) return;
      if (message.persistent) journal.put(message);
      add(queue, message);
      queue.dispatch();
    },
    removeIfIdle(queue) {
      if (queue.idleSince !== undefined && queues.get(queue.name) === queue) queues.delete(queue.name);
    },
    acknowledge(queue, messages) {
      queue.settle(messages.length);
      forget(messages);
    },
    reject(queue, messages, reason) {
      queue.settle(messages.length);
      for (const message of messages) deadLetter(message, reason);
    },
    giveBack(queue, messages, cause) {
      const again: StoredMessage[] = [];
      const dead: StoredMessage[] = [];
      for (const message of messages) {
        message.redelivered = true;
        if (cause === 'consumer lost') message.redeliveries++;
        (message.redeliveries > limits.maxRedeliveries ? dead : again).push(message);
        if (message.persistent && cause === 'consumer lost') journal.noteRedelivery(message);
      }
      queue.settle(dead.length);
      queue.putBack(again);
      for (const message of dead) deadLetter(message, `lost ${message.redeliveries} consumers`);
    },
    sweep(now) {
      for (const queue of queues.values()) {
        queue.dropExpired(now);
        if (queue.idleSince !== undefined && now - queue.idleSince >= limits.idleQueueMs) queues.delete(queue.name);
      }
    },
    persistentMessages: () => [...persistent.values()],
    look: (destination, count) => queues.get(destination)?.look(count) ?? [],
    statistics: () =>
      [...queues.values()].map((queue) => {
        const { name, depth, unacknowledged, consumers } = queue;
        const [first] = queue.look(1);
        return { name, depth, unacknowledged, consumers, oldest: first && sentAt(first) };
      }),
  };
}

function checkDestination(destination: string): void {
  if (DESTINATION.test(destination) && destination.length <= LONGEST_DESTINATION) return;
  throw new Refusal(`destination ${quoted(destination)} is not /queue/ followed by letters, digits, - _ and /`, {
    detail: `Destinations start with /queue/, go on with A-Z a-z 0-9 - _ / and have at most ${LONGEST_DESTINATION} characters. There are no topics and no wildcards.`,
    fatal: false,
  });
}
