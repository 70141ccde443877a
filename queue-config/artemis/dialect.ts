/** How to speak to ActiveMQ Artemis. */
import type { Dialect } from '../dialect.js';

/**
 * Bytes of unacknowledged messages that may be under way: Artemis counts bytes where others count messages. With none, a
 * subscription has one message at a time.
 */
const ONE_MESSAGE = { 'subscription-type': 'ANYCAST', 'consumer-window-size': '0' };
/** More than a drain reads before it acknowledges: a window that is full stays full. */
const SOME_BATCHES = 8 * 1024 * 1024;

export const artemis: Dialect = {
  name: 'artemis',
  title: 'ActiveMQ Artemis',
  servers: /^(ActiveMQ-)?Artemis\//i,
  spell: (destination) => destination,
  // The prefix of the acceptor says the same; without either, a message to a queue that is not there is lost.
  sendHeaders: () => ({ 'destination-type': 'ANYCAST' }),
  expiryHeaders: (expires) => ({ expires: String(expires) }),
  prefetch: (prefetch) => Array.from({ length: prefetch }, () => ONE_MESSAGE),
  drain: {
    subscribeHeaders: (fence) => ({
      'subscription-type': 'ANYCAST',
      'consumer-window-size': String(SOME_BATCHES),
      selector: `fence IS NULL OR fence = '${fence}'`,
    }),
    ack: 'client',
    leave: 'unsubscribe',
    end: 'fence',
  },
};
