/** How to speak to ActiveMQ Artemis. */
import type { Dialect } from '../dialect.js';

/** Bytes of unacknowledged messages that may be under way; Artemis counts bytes where others count messages. */
const ONE_AT_A_TIME = 0;
/** More than a drain reads before it acknowledges: a window that is full stays full. */
const SOME_BATCHES = 8 * 1024 * 1024;

export const artemis: Dialect = {
  name: 'artemis',
  title: 'ActiveMQ Artemis',
  servers: /^(ActiveMQ-)?Artemis\//i,
  spell: (destination) => destination,
  // Without a length, the body is a text message: an operator can read it in the broker's console.
  sendHeaders: () => ({ 'destination-type': 'ANYCAST' }),
  expiryHeaders: (expires) => ({ expires: String(expires) }),
  prefetchHeaders: () => ({ 'consumer-window-size': String(ONE_AT_A_TIME), 'subscription-type': 'ANYCAST' }),
  drain: {
    subscribeHeaders: (fence) => ({
      'subscription-type': 'ANYCAST',
      'consumer-window-size': String(SOME_BATCHES),
      selector: `fence IS NULL OR fence = '${fence}'`,
    }),
    ack: 'client',
    leave: 'unsubscribe',
    end: 'fence',
    otherFences: 'kept-away',
  },
};
