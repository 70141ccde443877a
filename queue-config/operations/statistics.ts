/** What ActiveMQ's statistics plugin says of queues. Asking makes no queue and no consumer on them. */
import { randomUUID } from 'node:crypto';
import { awaited } from '../awaited.js';
import type { StompConnection } from '../stomp-connection.js';

/** Counts since the broker has had the queue, and what is there now. */
export interface QueueStatistics {
  /** As the broker spells it: `docsets.package`. */
  readonly name: string;
  readonly messages: number;
  readonly consumers: number;
  readonly inFlight: number;
  readonly enqueued: number;
  readonly dequeued: number;
  /** Undefined where the broker does not count them. */
  readonly expired: number | undefined;
}

/** The broker does not answer: it has no statistics plugin, or not the queue whose answer is the last. */
export class NoStatisticsError extends Error {
  override readonly name = 'NoStatisticsError';
}

const PATIENCE = 5_000;
/** A queue that is always there: its answer comes after all others, in the order of the questions. */
const LAST = 'docsets.dead';

/**
 * Asks about queues, `package.>` for all below. Those that do not exist are missing in what `onQueue` is told; `docsets.dead` is told
 * always.
 * @throws {NoStatisticsError}
 */
export async function readStatistics(
  connection: StompConnection,
  subjects: readonly string[],
  onQueue: (statistics: QueueStatistics) => void,
): Promise<void> {
  const replies = `/temp-queue/statistics-${randomUUID()}`;
  const tooLate = () => new NoStatisticsError(`The broker says nothing of its queue ${LAST}.`);
  await awaited(connection, { ms: PATIENCE, tooLate }, (resolve, reject, heard) => {
    const subscription = connection.subscribe(replies, { ack: 'auto' }, ({ body }) => {
      heard();
      const statistics = parseStatistics(body);
      onQueue(statistics);
      if (statistics.name === LAST) resolve();
    });
    subscription.confirmed.catch(reject);
    // Where there is no plugin, the question must not lie about for ever.
    const headers = { 'reply-to': replies, expires: String(Date.now() + PATIENCE) };
    for (const subject of [...subjects, LAST]) {
      connection.sendUnconfirmed(`/queue/ActiveMQ.Statistics.Destination.${subject}`, headers, '');
    }
  });
}

/** The map message as the broker writes it in XML: pairs of a name and a value. */
function parseStatistics(xml: string): QueueStatistics {
  const values = new Map<string, string>();
  for (const [, name = '', value = ''] of xml.matchAll(/<string>(\w+)<\/string>\s*<\w+>([^<]*)</g)) {
    values.set(name, value);
  }
  const count = (name: string): number => {
    const value = values.get(name);
    if (value === undefined) throw new NoStatisticsError(`The broker's statistics have no ${name}.`);
    return Number(value);
  };
  return {
    name: (values.get('destinationName') ?? '').replace(/^queue:\/\//, ''),
    messages: count('size'),
    consumers: count('consumerCount'),
    inFlight: count('inflightCount'),
    enqueued: count('enqueueCount'),
    dequeued: count('dequeueCount'),
    expired: count('expiredCount'),
  };
}
