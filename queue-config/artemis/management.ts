/** Artemis' management by messages: it answers questions about its queues and its settings, with the right `manage`. */
import { randomUUID } from 'node:crypto';
import { awaited } from '../awaited.js';
import { BrokerUnavailableError } from '../broker.js';
import type { StompConnection } from '../stomp-connection.js';

export interface ManagedQueue {
  /** Without `/queue/`: `docsets/package`. */
  readonly name: string;
  readonly messages: number;
  readonly consumers: number;
  readonly inFlight: number;
  readonly enqueued: number;
  readonly dequeued: number;
  readonly expired: number;
}

export interface AddressSettings {
  readonly deadLetterAddress?: string;
  readonly maxDeliveryAttempts?: number;
  /** Milliseconds; negative: none. */
  readonly maxExpiryDelay?: number;
  readonly defaultExclusiveQueue?: boolean;
}

export interface Management {
  /** Every queue whose name begins with `prefix`, page by page. */
  queues(prefix: string, onPage: (queues: readonly ManagedQueue[]) => void): Promise<void>;
  /** When the first message that waits was sent; undefined where none does, or where there is no such queue. */
  oldestOf(queue: string): Promise<Date | undefined>;
  /** The settings that hold for a name. What is not said in the configuration is undefined. */
  settingsOf(name: string): Promise<AddressSettings>;
  /** Ends the subscription to answers. */
  close(): Promise<void>;
}

/** The broker says that the question cannot be answered. */
export class ManagementError extends Error {
  override readonly name = 'ManagementError';
}

/** Where a stock installation puts dead letters, and what has expired. */
export const STRAYS = ['DLQ', 'ExpiryQueue'];

/** What the broker calls a queue: `docsets/package`. */
export const physicalName = (queue: string): string => queue.replace(/^\/queue\//, '');

const ADDRESS = 'activemq.management';
const PATIENCE = 10_000;
const PAGE = 500;

interface Answer {
  readonly succeeded: boolean;
  readonly value: unknown;
}

/**
 * Opens it on a connection of the operator's. Answers come to a queue below `docsets/check/`, which goes as idle ones do.
 * @throws {BrokerRefusedError} the account may not
 */
export async function openManagement(connection: StompConnection): Promise<Management> {
  const replies = `docsets/check/answers-${randomUUID()}`;
  let answered: ((answer: Answer) => void) | undefined;
  // Answers come in the order of the questions, of which there is one at a time.
  const subscription = connection.subscribe(
    // Without the prefix, which the broker may not know: where answers go is a plain name.
    replies,
    { ack: 'auto', 'subscription-type': 'ANYCAST' },
    ({ headers, body }) => {
      const [value] = JSON.parse(body === '' ? '[]' : body) as unknown[];
      answered?.({ succeeded: headers['_AMQ_OperationSucceeded'] === 'true', value });
    },
  );
  await subscription.confirmed;

  const ask = (question: Readonly<Record<string, string>>, parameters: readonly unknown[]): Promise<Answer> => {
    const tooLate = () => new BrokerUnavailableError('the management does not answer');
    const body = JSON.stringify(parameters);
    return awaited<Answer>(connection, { ms: PATIENCE, tooLate }, (resolve, reject) => {
      answered = resolve;
      connection.sendText(ADDRESS, { 'reply-to': replies, ...question }, body).catch(reject);
    });
  };

  return {
    async queues(prefix, onPage) {
      for (let page = 1; ; page += 1) {
        const filter = JSON.stringify({ field: 'name', operation: 'CONTAINS', value: prefix });
        const question = { _AMQ_ResourceName: 'broker', _AMQ_OperationName: 'listQueues' };
        const { succeeded, value } = await ask(question, [filter, page, PAGE]);
        if (!succeeded) throw new ManagementError(`The broker lists no queues: ${String(value)}`);
        const { data } = JSON.parse(String(value)) as { data: Record<string, string>[] };
        onPage(data.map(queueOf).filter(({ name }) => name.startsWith(prefix)));
        if (data.length < PAGE) return;
      }
    },
    async oldestOf(queue) {
      const question = { _AMQ_ResourceName: `queue.${queue}`, _AMQ_Attribute: 'FirstMessageTimestamp' };
      const { succeeded, value } = await ask(question, []);
      return succeeded && typeof value === 'number' && value > 0 ? new Date(value) : undefined;
    },
    async settingsOf(name) {
      const question = { _AMQ_ResourceName: 'broker', _AMQ_OperationName: 'getAddressSettingsAsJSON' };
      const { succeeded, value } = await ask(question, [name]);
      if (!succeeded) throw new ManagementError(`The broker tells no settings of ${name}: ${String(value)}`);
      return JSON.parse(String(value)) as AddressSettings;
    },
    close: () => subscription.end(),
  };
}

function queueOf(row: Readonly<Record<string, string>>): ManagedQueue {
  const count = (name: string): number => Number(row[name] ?? 0);
  return {
    name: row['name'] ?? '',
    messages: count('messageCount'),
    consumers: count('consumerCount'),
    inFlight: count('deliveringCount'),
    enqueued: count('messagesAdded'),
    dequeued: count('messagesAcked'),
    expired: count('messagesExpired'),
  };
}
