/** Looks at the messages of a queue and takes none. */
import { awaited } from '../awaited.js';
import { BrokerUnavailableError, type ReceivedMessage } from '../broker.js';
import type { StompConnection } from '../stomp-connection.js';

const PATIENCE = 10_000;

/** The first messages of a queue, at most as many as the broker shows (ActiveMQ: 400). A queue that is not there is made. */
export async function browse(
  connection: StompConnection,
  destination: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<ReceivedMessage[]> {
  const seen: ReceivedMessage[] = [];
  const tooLate = () => new BrokerUnavailableError(`${destination} cannot be browsed`);
  await awaited(connection, { ms: PATIENCE, tooLate }, (resolve, reject) => {
    const subscription = connection.subscribe(destination, { ...headers, browser: 'true', ack: 'auto' }, (message) => {
      if (message.headers['browser'] === 'end') subscription.end().then(resolve, reject);
      else seen.push({ headers: message.headers, body: message.body });
    });
    subscription.confirmed.catch(reject);
  });
  return seen;
}
