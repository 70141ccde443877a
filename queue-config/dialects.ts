/** What differs from broker to broker, in one place. `docs/brokers.md` says where each line comes from. */
import { DEAD_LETTERS, type Destination } from './destinations.js';
import { BrokerRefusedError } from './broker.js';

export interface Dialect {
  name: 'adit' | 'activemq';
  /** The canonical name as this broker wants it. */
  spell(destination: Destination): string;
  /** Headers of a SEND to `destination`. */
  sendHeaders(destination: Destination): Record<string, string>;
  /** Headers of a SUBSCRIBE that holds at most `prefetch` unacknowledged messages. */
  prefetchHeaders(prefetch: number): Record<string, string>;
  /** How a drain finds its end: by a message of its own that it waits for, or by a marker that the broker sends. */
  drainEnd: 'fence' | 'marker';
}

const adit: Dialect = {
  name: 'adit',
  spell: (destination) => destination,
  sendHeaders: () => ({}),
  prefetchHeaders: (prefetch) => ({ 'prefetch-count': String(prefetch) }),
  drainEnd: 'marker',
};

const activemq: Dialect = {
  name: 'activemq',
  // Slashes stay: the configuration in queue-config/activemq makes them separators, so that its policies match.
  spell: (destination) => destination,
  // A text message, so that an operator can read it in the broker's console. Without a time stamp, the ceiling of its plugin
  // does not shorten the life of dead letters to that of events.
  sendHeaders: (destination) => ({
    'amq-msg-type': 'text',
    ...(destination === DEAD_LETTERS ? { timestamp: '0' } : {}),
  }),
  prefetchHeaders: (prefetch) => ({ 'activemq.prefetchSize': String(prefetch) }),
  drainEnd: 'fence',
};

/**
 * The dialect for the `server` header of a CONNECTED frame.
 * @throws {BrokerRefusedError} for a broker whose drain nobody has proved yet: guessing would lose events silently
 */
export function dialectOf(server: string): Dialect {
  if (/^adit\//i.test(server)) return adit;
  if (/^ActiveMQ/i.test(server)) return activemq;
  throw new BrokerRefusedError(
    `The broker calls itself ${JSON.stringify(server)}; supported are ActiveMQ Classic and the embedded broker.`,
  );
}
