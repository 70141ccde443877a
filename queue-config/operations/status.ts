/** How the queues are: what waits, since when, who takes it, and what ended as a dead letter. */
import { readArtemisStatus } from '../artemis/status.js';
import { BrokerUnavailableError } from '../broker.js';
import { parseBrokerUrls, type BrokerAddress } from '../broker-url.js';
import {
  DEAD_LETTERS,
  DELETE_REQUESTS,
  LARGE_PACKAGE_REQUESTS,
  PACKAGE_REQUESTS,
  parseEventsDestination,
} from '../destinations.js';
import { connect, type ConnectionOptions, type StompConnection } from '../stomp-connection.js';
import { browse } from './browse.js';
import { readDeadLetter, type DeadLetter } from './dead-letters.js';
import { managementAddress, type ManagementAddress } from '../rabbitmq/management.js';
import { readRabbitMQStatus } from '../rabbitmq/status.js';
import { look } from './look.js';
import { readStatistics, type QueueStatistics } from './statistics.js';

export interface QueuesStatus {
  readonly permanent: readonly PermanentQueue[];
  /** All progress queues together. Between polls none of them has a consumer. */
  readonly progress: { readonly queues: number; readonly messages: number; readonly consumers: number };
  /** The first of them, at most 400. */
  readonly deadLetters: readonly DeadLetter[];
  /** Messages that the broker put aside and should not have: its own dead letter queue. */
  readonly strays: number;
}

export interface PermanentQueue {
  readonly queue: string;
  /** Undefined where the broker has no such queue. */
  readonly statistics: Pick<QueueStatistics, 'name' | 'messages' | 'consumers' | 'inFlight'> | undefined;
  /** When the first message that waits was sent. */
  readonly oldest: Date | undefined;
}

const PERMANENT = [PACKAGE_REQUESTS, LARGE_PACKAGE_REQUESTS, DELETE_REQUESTS, DEAD_LETTERS] as const;
const STRAYS = 'ActiveMQ.DLQ';
const OPTIONS = { connectTimeoutMs: 5_000, receiptTimeoutMs: 10_000, heartbeatMs: 5_000 };

/**
 * Asks the broker, as the operator; of several addresses, the first that answers.
 * @param urls one, or several separated by commas
 * @param managementUrl of its HTTP API, where the broker tells of its queues by that only
 * @throws {BrokerUnavailableError | BrokerRefusedError | NoStatisticsError}
 */
export async function readStatus(
  urls: string,
  managementUrl?: string,
  told: Pick<ConnectionOptions, 'dialect' | 'authority'> = {},
): Promise<QueuesStatus> {
  let failure: unknown;
  for (const address of parseBrokerUrls(urls)) {
    try {
      return await readStatusAt(address, managementUrl, told);
    } catch (error) {
      if (!(error instanceof BrokerUnavailableError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function readStatusAt(
  address: BrokerAddress,
  managementUrl: string | undefined,
  told: Pick<ConnectionOptions, 'dialect' | 'authority'>,
): Promise<QueuesStatus> {
  const connection = await connect(address, { ...OPTIONS, ...told });
  try {
    const status = await readOn(connection, () => managementAddress(address, managementUrl, told.authority));
    await connection.close();
    return status;
  } catch (error) {
    connection.drop(error as Error);
    throw error;
  }
}

/** Each broker tells in its own way: the embedded one everything at one look, ActiveMQ by its statistics, queue by queue. */
function readOn(connection: StompConnection, management: () => ManagementAddress): Promise<QueuesStatus> {
  switch (connection.dialect.name) {
    case 'adit':
      return readByLook(connection);
    case 'activemq':
      return readByStatistics(connection);
    case 'artemis':
      return readArtemisStatus(connection, PERMANENT);
    case 'rabbitmq':
      return readRabbitMQStatus(management(), PERMANENT);
  }
}

async function readByLook(connection: StompConnection): Promise<QueuesStatus> {
  const { messages, queues } = await look(connection, DEAD_LETTERS);
  const permanent = PERMANENT.map((queue): PermanentQueue => {
    const found = queues.find(({ name }) => name === queue);
    return {
      queue,
      statistics: {
        name: queue,
        messages: found?.depth ?? 0,
        consumers: found?.consumers ?? 0,
        inFlight: found?.unacknowledged ?? 0,
      },
      oldest: found?.oldest === undefined ? undefined : new Date(found.oldest),
    };
  });
  const transient = queues.filter(({ name }) => parseEventsDestination(name) !== undefined);
  return {
    permanent,
    progress: {
      queues: transient.length,
      messages: transient.reduce((sum, { depth }) => sum + depth, 0),
      consumers: transient.reduce((sum, { consumers }) => sum + consumers, 0),
    },
    deadLetters: messages.map(readDeadLetter),
    strays: 0,
  };
}

async function readByStatistics(connection: StompConnection): Promise<QueuesStatus> {
  const known = new Map<string, QueueStatistics>();
  const progress = { queues: 0, messages: 0, consumers: 0 };
  const names = PERMANENT.map(physicalName);
  await readStatistics(connection, [...names.slice(0, -1), STRAYS, 'package.>'], (statistics) => {
    if (!statistics.name.startsWith('package.')) known.set(statistics.name, statistics);
    else {
      progress.queues += 1;
      progress.messages += statistics.messages;
      progress.consumers += statistics.consumers;
    }
  });
  const permanent: PermanentQueue[] = [];
  let deadLetters: DeadLetter[] = [];
  for (const queue of PERMANENT) {
    const statistics = known.get(physicalName(queue));
    const waiting = (statistics?.messages ?? 0) > 0 ? await browse(connection, queue) : [];
    if (queue === DEAD_LETTERS) deadLetters = waiting.map(readDeadLetter);
    const sent = waiting.map(({ headers }) => Number(headers['timestamp'])).find((time) => time > 0);
    const oldest = queue === DEAD_LETTERS ? deadLetters[0]?.since : sent === undefined ? undefined : new Date(sent);
    permanent.push({ queue, statistics, oldest });
  }
  return { permanent, progress, deadLetters, strays: known.get(STRAYS)?.messages ?? 0 };
}

const physicalName = (queue: string): string => queue.replace(/^\/queue\//, '').replaceAll('/', '.');
