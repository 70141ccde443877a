/** What cannot be read goes to the dead letters, so that it never blocks what is behind it. */
import {
  deadLetterMessage,
  UnreadableMessageError,
  type Delivery,
  type Destination,
  type ReceivedMessage,
} from '../queue-config/index.js';

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
    await delivery.publish(deadLetterMessage(delivery.message, queue, error.message));
    await delivery.ack();
    return { type: 'buried', reason: error.message };
  }
}
