/** The frames of a client that is connected. */
import { encodeFrame } from './frame-encoder.js';
import type { Frame } from './frame-parser.js';
import { DRAIN_WINDOW, type Limits } from './limits.js';
import type { StoredMessage } from './message.js';
import type { Queues } from './queues.js';
import { overLimit, quoted, Refusal } from './refusal.js';
import { BROKER_HEADERS, messageFrame, openSubscription, type AckMode, type Subscription } from './subscription.js';

export interface CommandOptions {
  queues: Queues;
  limits: Limits;
  durable: () => Promise<void>;
  send: (frame: Buffer) => void;
  isWritable: () => boolean;
  /** RECEIPT where the frame asks for one, after `durable` resolved; then `then`. */
  confirm: (frame: Frame, durable?: Promise<void>, then?: () => void) => void;
  /** The client said good-bye. */
  close: () => void;
}

export interface Commands {
  /** @throws {Refusal} */
  execute(frame: Frame): void;
  /** The socket takes more again. */
  serve(): void;
  /** Ends all subscriptions. */
  close(cause: 'consumer lost' | 'consumer left'): void;
}

/** Headers that concern the SEND frame and not the message. */
const OF_THE_FRAME: ReadonlySet<string> = new Set(['receipt', 'transaction']);

const ACK_MODES: readonly string[] = ['auto', 'client', 'client-individual'] satisfies AckMode[];

/** What other brokers offer on SUBSCRIBE: to ignore it would deliver the wrong messages. */
const UNSUPPORTED = ['selector', 'browser', 'activemq.exclusive'];

/** How much of a queue is shown to those who look at it. */
const LOOKED_AT = 400;
const LOOKED_AT_BYTES = 8 * 1024 * 1024;

export function createCommands(options: CommandOptions): Commands {
  const { queues, limits, confirm } = options;
  const subscriptions = new Map<string, Subscription>();
  let deliveries = 0;
  let leaving = false;

  function send(frame: Frame): void {
    const destination = required(frame, 'destination');
    const persistent = frame.headers.get('persistent') === 'true';
    queues.send({
      destination,
      headers: [
        ...[...frame.headers].filter(([name]) => !BROKER_HEADERS.has(name) && !OF_THE_FRAME.has(name)),
        ['timestamp', String(Date.now())],
      ],
      body: frame.body,
      persistent,
      expires: readExpiry(frame),
    });
    confirm(frame, persistent && frame.headers.has('receipt') ? options.durable() : undefined);
  }

  function subscribe(frame: Frame): void {
    const id = required(frame, 'id');
    if (subscriptions.has(id)) throw new Refusal(`subscription id ${quoted(id)} is in use on this connection`);
    if (subscriptions.size >= limits.subscriptions) {
      throw overLimit('a connection', limits.subscriptions, 'subscriptions', { fatal: false });
    }
    if (frame.headers.get('adit-look') === 'true') {
      look(id, required(frame, 'destination'));
      confirm(frame);
      return;
    }
    const { mode, isDrain, window } = readTerms(frame, limits);
    const queue = queues.open(required(frame, 'destination'));
    const subscription = openSubscription({
      ...options,
      id,
      queue,
      mode,
      isDrain,
      window,
      // Names its subscription, so that nothing has to be remembered of what was acknowledged.
      nextAckId: () => `${id}/${++deliveries}`,
    });
    subscriptions.set(id, subscription);
    confirm(frame);
    queue.dispatch();
  }

  /** Copies of the first messages of a queue, then how all queues are. It ends by itself, and takes nothing. */
  function look(id: string, destination: string): void {
    let bytes = 0;
    for (const message of queues.look(destination, LOOKED_AT)) {
      bytes += message.body.length;
      if (bytes > LOOKED_AT_BYTES) break;
      options.send(messageFrame(message, id));
    }
    const headers: [string, string][] = [
      ['subscription', id],
      ['message-id', `look-end-${id}`],
      ['destination', destination],
      ['look-end', 'true'],
    ];
    options.send(encodeFrame('MESSAGE', headers, Buffer.from(JSON.stringify(queues.statistics()))));
  }

  function unsubscribe(frame: Frame): void {
    const id = required(frame, 'id');
    const subscription = subscriptions.get(id);
    if (subscription === undefined) throw new Refusal(`no subscription ${quoted(id)}`, { fatal: false });
    subscriptions.delete(id);
    subscription.close('consumer left');
    confirm(frame);
  }

  function acknowledge(frame: Frame, settle: (of: Subscription, messages: StoredMessage[]) => void): void {
    const id = required(frame, 'id');
    const subscription = subscriptions.get(id.slice(0, id.lastIndexOf('/')));
    const messages = subscription?.take(id);
    if (subscription === undefined || messages === undefined) {
      throw new Refusal(`nothing waits for the acknowledgement ${quoted(id)}`, {
        detail: 'It was given already, or the message went back to its queue.',
        fatal: false,
      });
    }
    settle(subscription, messages);
    const durable = frame.headers.has('receipt') && messages.some(({ persistent }) => persistent);
    confirm(frame, durable ? options.durable() : undefined);
    subscription.queue.dispatch();
  }

  function disconnect(frame: Frame): void {
    leaving = true;
    close('consumer left');
    // The receipt says that all before it was done: also what was sent without one.
    confirm(frame, frame.headers.has('receipt') ? options.durable() : undefined, options.close);
  }

  function close(cause: 'consumer lost' | 'consumer left'): void {
    const all = [...subscriptions.values()];
    subscriptions.clear();
    for (const subscription of all) subscription.close(cause);
  }

  const runs: Readonly<Record<string, (frame: Frame) => void>> = {
    SEND: send,
    SUBSCRIBE: subscribe,
    UNSUBSCRIBE: unsubscribe,
    ACK: (frame) => acknowledge(frame, ({ queue }, messages) => queues.acknowledge(queue, messages)),
    NACK: (frame) => acknowledge(frame, ({ queue }, messages) => queues.reject(queue, messages, 'NACK')),
    DISCONNECT: disconnect,
    BEGIN: refuseTransactions,
    COMMIT: refuseTransactions,
    ABORT: refuseTransactions,
  };

  return {
    close,
    serve() {
      for (const { queue } of subscriptions.values()) queue.dispatch();
    },
    execute(frame) {
      if (leaving) return;
      if (frame.headers.has('transaction')) refuseTransactions();
      const run = runs[frame.command];
      if (run === undefined) throw new Refusal(`${frame.command} on a connection that is open already`);
      run(frame);
    },
  };
}

function required(frame: Frame, name: string): string {
  const value = frame.headers.get(name);
  if (value === undefined || value === '') throw new Refusal(`${frame.command} needs the header ${name}`);
  return value;
}

/** Fatal: a client that believes in a transaction would go on in vain. */
function refuseTransactions(): never {
  throw new Refusal('this broker has no transactions', {
    detail: 'BEGIN, COMMIT, ABORT and the header transaction are not supported.',
  });
}

function readExpiry(frame: Frame): number | undefined {
  const text = frame.headers.get('expires');
  // 0 is "never" with other brokers.
  if (text === undefined || text === '0') return undefined;
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new Refusal(`expires ${quoted(text)} is not a time in milliseconds since the epoch`, { fatal: false });
}

function readTerms(frame: Frame, limits: Limits): { mode: AckMode; isDrain: boolean; window: number } {
  const { headers } = frame;
  for (const name of UNSUPPORTED) {
    if (headers.has(name) && headers.get(name) !== 'false') {
      throw new Refusal(`this broker does not support the header ${name}`, { fatal: false });
    }
  }
  const mode = headers.get('ack') ?? 'auto';
  if (!ACK_MODES.includes(mode)) throw new Refusal(`ack ${quoted(mode)} is none of ${ACK_MODES.join(', ')}`);
  const isDrain = headers.get('adit-drain') === 'true';
  if (isDrain && mode !== 'client') throw new Refusal('adit-drain needs ack:client');
  return { mode: mode as AckMode, isDrain, window: isDrain ? DRAIN_WINDOW : readPrefetch(frame, limits) };
}

function readPrefetch({ headers }: Frame, limits: Limits): number {
  const text = headers.get('activemq.prefetchSize') ?? headers.get('prefetch-count');
  if (text === undefined) return limits.prefetch;
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new Refusal(`prefetch ${quoted(text)} is not a whole number above 0`);
  return Math.min(Number(text), limits.prefetch);
}
