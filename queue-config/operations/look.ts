/** Looks at the embedded broker: the first messages of a queue, which stay there, and how all queues are. */
import { awaited } from '../awaited.js';
import { BrokerUnavailableError, type ReceivedMessage } from '../broker.js';
import type { StompConnection } from '../stomp-connection.js';

const PATIENCE = 10_000;

export interface LookedAt {
  messages: ReceivedMessage[];
  queues: {
    /** Canonical: `/queue/docsets/package`. */
    name: string;
    /** Messages, those that somebody holds included. */
    depth: number;
    unacknowledged: number;
    consumers: number;
    /** When the first that waits was sent, in milliseconds since the epoch. */
    oldest?: number;
  }[];
}

/** @throws {BrokerUnavailableError} it did not answer in time */
export async function look(connection: StompConnection, destination: string): Promise<LookedAt> {
  const messages: ReceivedMessage[] = [];
  const tooLate = () => new BrokerUnavailableError(`${destination} cannot be looked at`);
  return awaited<LookedAt>(connection, { ms: PATIENCE, tooLate }, (resolve, reject) => {
    // It ends by itself: there is nothing to unsubscribe from.
    const { confirmed } = connection.subscribe(destination, { 'adit-look': 'true' }, ({ headers, body }) => {
      if (headers['look-end'] === 'true') resolve({ messages, queues: JSON.parse(body) as LookedAt['queues'] });
      else messages.push({ headers, body });
    });
    confirmed.catch(reject);
  });
}
