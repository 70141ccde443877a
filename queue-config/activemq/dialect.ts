/** How to speak to ActiveMQ Classic. */
import { DEAD_LETTERS } from '../destinations.js';
import type { Dialect } from '../dialect.js';

export const activemq: Dialect = {
  name: 'activemq',
  title: 'ActiveMQ Classic',
  // Artemis calls itself ActiveMQ-Artemis.
  servers: /^ActiveMQ\//i,
  // Slashes stay: the configuration beside this file makes them separators, so that its policies match.
  spell: (destination) => destination,
  // A text message, so that an operator can read it in the broker's console. From our time stamp, its plugin tells how long a message
  // is to live, whatever our clock says; without one, its ceiling does not shorten the life of dead letters to that of events.
  sendHeaders: (destination) => ({
    'amq-msg-type': 'text',
    timestamp: destination === DEAD_LETTERS ? '0' : String(Date.now()),
  }),
  expiryHeaders: (expires) => ({ expires: String(expires) }),
  prefetch: (prefetch) => [{ 'activemq.prefetchSize': String(prefetch) }],
  drain: {
    subscribeHeaders: (fence, batch) => ({
      // No more of them in memory than are written in one go.
      'activemq.prefetchSize': String(batch),
      // One drainer at a time; others' fences, even those left by the dead, do not concern us.
      'activemq.exclusive': 'true',
      selector: `fence IS NULL OR fence = '${fence}'`,
    }),
    ack: 'client',
    leave: 'unsubscribe',
    end: 'fence',
  },
};
