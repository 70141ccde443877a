/** What cannot be read goes to the dead letters, so that it never blocks what is behind it. */
import {
  DEAD_LETTER_TTL,
  DEAD_LETTERS,
  UnreadableMessageError,
  type Delivery,
  type Destination,
  type ReceivedMessage,
} from '../queue-config/index.js';

/** Characters of the unreadable message that are kept. */
const KEPT = 64 * 1024;

/**
 * The message as `decode` reads it. Where it cannot, the message with the reason is confirmed to be among the dead
 * letters before it is acknowledged, and the answer is the reason.
 */
export async function decodeOrBury<T>(
  delivery: Delivery,
  queue: Destination,
  decode: (message: ReceivedMessage) => T,
): Promise<{ type: 'read'; content: T } | { type: 'buried'; reason: string }> {
  try {
    return { type: 'read', content: decode(delivery.message) };
  } catch (error) {
    if (!(error instanceof UnreadableMessageError)) throw error;
    await delivery.publish({
      destination: DEAD_LETTERS,
      headers: { 'content-type': 'text/plain' },
      body: deadLetter(delivery.message, queue, error.message),
      persistent: true,
      expires: Date.now() + DEAD_LETTER_TTL,
    });
    await delivery.ack();
    return { type: 'buried', reason: error.message };
  }
}

function deadLetter({ headers, body }: ReceivedMessage, queue: Destination, reason: string): string {
  const received = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace(/\s+/g, ' ')}`);
  return [`Unreadable: ${reason}`, `Queue: ${queue}`, '', ...received, '', body.slice(0, KEPT)].join('\n');
}
