/** How long messages live, which of them must survive a crash, and how often a packager reports (design §1 and §3). */
import { DEAD_LETTERS, type Destination } from './destinations.js';
import type { OutgoingMessage, ReceivedMessage } from './broker.js';
import { encodeEvent, type EventContent, type PackagerEvent } from './messages.js';

/** How long an event stays unread by default, in milliseconds: 24 h. */
export const DEFAULT_EVENT_TTL = 24 * 60 * 60 * 1000;

/** How long a dead letter is kept, in milliseconds: 14 days. */
export const DEAD_LETTER_TTL = 14 * 24 * 60 * 60 * 1000;

const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 110_000;
const STEP = 5;

/** `Complete` and `Failed` must survive a broker's crash; `Accepted` and `Progress` need not. */
export function isPersistent(type: EventContent['type']): boolean {
  return type === 'Complete' || type === 'Failed';
}

/**
 * Whether a packager reports now: one event for each further 5 %, never two within half a second, and one at
 * least every two minutes, so that neither the lease of the dump nor the idle time of its queue runs out.
 * Times are milliseconds of one clock.
 */
export function isReportDue(last: { at: number; percent: number }, now: { at: number; percent: number }): boolean {
  const pause = now.at - last.at;
  if (pause < SHORTEST_PAUSE) return false;
  return pause >= LONGEST_PAUSE || now.percent >= last.percent + STEP;
}

/** The message of an event, with its expiry and persistence. `now` is milliseconds since the epoch. */
export function eventMessage(
  destination: Destination,
  event: PackagerEvent,
  { eventTtl = DEFAULT_EVENT_TTL, now = Date.now() }: { eventTtl?: number; now?: number } = {},
): OutgoingMessage {
  return { destination, ...encodeEvent(event), persistent: isPersistent(event.type), expires: now + eventTtl };
}

/** Characters of the body of an unreadable message that are kept. */
export const KEPT_OF_A_DEAD_LETTER = 64 * 1024;

/** What becomes of a message that nobody can read: put aside with the reason, its queue, its headers and its body. */
export function deadLetterMessage(
  { headers, body }: ReceivedMessage,
  queue: Destination,
  reason: string,
  now = Date.now(),
): OutgoingMessage {
  const received = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace(/\s+/g, ' ')}`);
  return {
    destination: DEAD_LETTERS,
    headers: { 'content-type': 'text/plain' },
    body: [`Unreadable: ${reason}`, `Queue: ${queue}`, '', ...received, '', body.slice(0, KEPT_OF_A_DEAD_LETTER)].join(
      '\n',
    ),
    persistent: true,
    expires: now + DEAD_LETTER_TTL,
  };
}
