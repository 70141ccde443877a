/** Dead letters: what is wrong with each, and how to send them again to where they came from. */
import type { Broker, ReceivedMessage } from '../broker.js';
import { DEAD_LETTER_TTL, KEPT_OF_A_DEAD_LETTER } from '../delivery-rules.js';
import {
  DEAD_LETTERS,
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  PACKAGE_REQUESTS,
  parseEventsDestination,
  type Destination,
} from '../destinations.js';
import { decodeDeleteRequest, decodePackageRequest, UnreadableMessageError } from '../messages.js';

export interface DeadLetter {
  readonly id: string;
  readonly reason: string;
  /** The queue that it was on, undefined where nothing says so. */
  readonly from: Destination | undefined;
  readonly since: Date | undefined;
  readonly expires: Date | undefined;
  /** The message as it was, or why it cannot be had. */
  readonly original:
    { readonly type: 'whole'; readonly message: ReceivedMessage } | { readonly type: 'lost'; readonly why: string };
}

/** Headers that the broker or the connection gave, and a message that is sent again must not bring along. */
const OF_THE_JOURNEY = new Set(
  (
    'destination subscription message-id ack receipt content-length expires timestamp priority persistent redelivered ' +
    'JMSXUserID amq-msg-type destination-type dlqDeliveryFailureCause expiration delivery-mode x-delivery-count x-first-death-exchange ' +
    'x-first-death-queue x-first-death-reason redelivery-count original-destination original-message-id reason ' +
    '_AMQ_ORIG_ADDRESS _AMQ_ORIG_QUEUE _AMQ_ORIG_MESSAGE_ID _AMQ_ORIG_ROUTING_TYPE'
  ).split(' '),
);

/** Reads what our own sides have put aside with the reason, and what a broker put there when a packager refused it. */
export function readDeadLetter({ headers, body }: ReceivedMessage): DeadLetter {
  const expires = timeOf(headers['expires']);
  const id = headers['message-id'] ?? '';
  const ours = /^Unreadable: (.*)\nQueue: (.*)\n\n((?:.+\n)*)\n([^]*)$/.exec(body);
  if (ours === null) {
    // The embedded broker, RabbitMQ and Artemis say where it was.
    const ofEmbedded = parseQueue(headers['original-destination'] ?? '');
    const from =
      ofEmbedded ?? queueThatSaysRabbitMQ(headers) ?? queueThatSaysArtemis(headers) ?? guessQueue({ headers, body });
    const death = headers['x-first-death-reason'];
    // On Artemis a message comes here for this reason alone: a NACK is an acknowledgement to it.
    const givenUp = headers['_AMQ_ORIG_QUEUE'] === undefined ? undefined : DEATHS.get('delivery_limit');
    return {
      id,
      reason:
        headers['dlqDeliveryFailureCause'] ??
        DEATHS.get(death ?? '') ??
        givenUp ??
        headers['reason'] ??
        'refused by a consumer',
      from,
      since:
        ofEmbedded === undefined || expires === undefined
          ? timeOf(headers['timestamp'])
          : new Date(expires.getTime() - DEAD_LETTER_TTL),
      // Of a dead letter of RabbitMQ's, that is the end of the life that it had.
      expires: death === undefined ? expires : undefined,
      original:
        from === undefined
          ? { type: 'lost', why: 'it is no request, and nothing says which queue it was on' }
          : { type: 'whole', message: { headers: ownHeaders(Object.entries(headers)), body } },
    };
  }
  const [, reason = '', queue = '', received = '', original = ''] = ours;
  const from = parseQueue(queue);
  const pairs = received
    .trimEnd()
    .split('\n')
    .map((line): [string, string] => {
      const colon = line.indexOf(': ');
      return [line.slice(0, colon), line.slice(colon + 2)];
    });
  return {
    id,
    reason,
    from,
    since: expires && new Date(expires.getTime() - DEAD_LETTER_TTL),
    expires,
    original:
      from === undefined
        ? { type: 'lost', why: `${queue} is no queue of ours` }
        : original.length >= KEPT_OF_A_DEAD_LETTER
          ? { type: 'lost', why: 'only the beginning of it was kept' }
          : { type: 'whole', message: { headers: ownHeaders(pairs), body: original } },
  };
}

export interface Redriven {
  /** How many were sent again. */
  readonly sent: number;
  /** Those that stay where they are, and why. */
  readonly kept: readonly { readonly id: string; readonly why: string }[];
}

const LONGEST = 600_000;

/**
 * Sends every dead letter that is whole to the queue that it was on, and leaves the others. Each is confirmed there before it is taken
 * away here: where it breaks off, up to 100 may be on both queues, and none is lost. What comes in meanwhile stays.
 */
export async function redrive(broker: Broker): Promise<Redriven> {
  let sent = 0;
  const kept: { id: string; why: string }[] = [];
  await broker.drain(
    DEAD_LETTERS,
    async (messages) => {
      for (const message of messages) {
        const letter = readDeadLetter(message);
        if (letter.from !== undefined && letter.original.type === 'whole') {
          await broker.publish({ destination: letter.from, ...letter.original.message, persistent: true });
          sent += 1;
        } else {
          await broker.publish(backToWhereItWas(message, letter));
          kept.push({ id: letter.id, why: letter.original.type === 'lost' ? letter.original.why : '' });
        }
      }
    },
    { timeoutMs: LONGEST },
  );
  return { sent, kept };
}

/** Deletes the dead letters that are there now. @returns how many */
export async function purge(broker: Broker): Promise<number> {
  const { drained } = await broker.drain(DEAD_LETTERS, () => Promise.resolve(), { timeoutMs: LONGEST });
  return drained;
}

/** What RabbitMQ says in `x-first-death-reason`. */
const DEATHS: ReadonlyMap<string, string> = new Map([
  ['delivery_limit', 'handed out too often: no consumer survived it'],
  ['maxlen', 'one too many on its queue'],
  ['expired', 'too old'],
]);

function backToWhereItWas({ headers, body }: ReceivedMessage, { reason, expires }: DeadLetter) {
  // Only what is in a header may need it again; free text in one must have nothing to escape.
  const cause =
    headers['dlqDeliveryFailureCause'] === undefined
      ? {}
      : { dlqDeliveryFailureCause: reason.replaceAll(/[\\:\s]+/g, ' ') };
  const death = Object.entries(headers).filter(([name]) => name.startsWith('x-first-death-'));
  const { 'original-destination': from, reason: why } = headers;
  return {
    destination: DEAD_LETTERS,
    headers: {
      ...ownHeaders(Object.entries(headers)),
      ...cause,
      ...Object.fromEntries(death),
      ...(from === undefined ? {} : { 'original-destination': from, reason: why ?? reason }),
    },
    body,
    persistent: true,
    expires: expires?.getTime() ?? Date.now() + DEAD_LETTER_TTL,
  };
}

const ownHeaders = (pairs: readonly (readonly [string, string])[]): Record<string, string> =>
  Object.fromEntries(pairs.filter(([name]) => name !== '' && !OF_THE_JOURNEY.has(name)));

const parseQueue = (text: string): Destination | undefined =>
  [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS].find((queue) => queue === text) ??
  parseEventsDestination(text);

function queueThatSaysRabbitMQ(headers: ReceivedMessage['headers']): Destination | undefined {
  const queue = headers['x-first-death-queue'];
  return queue === undefined ? undefined : parseQueue(`/queue/${queue.replaceAll('.', '/')}`);
}

/** Artemis keeps the name of the queue in a header. */
function queueThatSaysArtemis(headers: ReceivedMessage['headers']): Destination | undefined {
  const queue = headers['_AMQ_ORIG_QUEUE'];
  return queue === undefined ? undefined : parseQueue(`/queue/${queue}`);
}

/** A packager refused it, so it was a request; the broker does not say on which queue. */
function guessQueue(message: ReceivedMessage): Destination | undefined {
  if (canBeRead(() => decodeDeleteRequest(message))) return DELETE_REQUESTS;
  return canBeRead(() => decodePackageRequest(message)) ? PACKAGE_REQUESTS : undefined;
}

function canBeRead(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (error instanceof UnreadableMessageError) return false;
    throw error;
  }
}

/** Milliseconds since the epoch; 0 means that there is no such time. */
function timeOf(millis: string | undefined): Date | undefined {
  return millis === undefined || !/^[1-9]\d{0,14}$/.test(millis) ? undefined : new Date(Number(millis));
}
