/** How the queues are on RabbitMQ, which says nothing of it over STOMP. */
import { DEAD_LETTERS } from '../destinations.js';
import { readDeadLetter } from '../operations/dead-letters.js';
import type { QueueStatistics } from '../operations/statistics.js';
import type { PermanentQueue, QueuesStatus } from '../operations/status.js';
import { openManagement, type ManagedQueue, type ManagementAddress } from './management.js';
import { DEAD_LETTERS_QUEUE, physicalName, PROGRESS_PREFIX } from './names.js';

/** Dead letters that are read. */
const MOST_READ = 400;

/** @throws {BrokerUnavailableError | BrokerRefusedError | RangeError} see `openManagement` */
export async function readRabbitMQStatus(
  address: ManagementAddress,
  permanentQueues: readonly string[],
): Promise<QueuesStatus> {
  const management = openManagement(address);
  const progress = { queues: 0, messages: 0, consumers: 0 };
  await management.queues(PROGRESS_PREFIX, (queues) => {
    progress.queues += queues.length;
    for (const { messages, consumers } of queues) {
      progress.messages += messages;
      progress.consumers += consumers;
    }
  });
  const letters = await management.browse(DEAD_LETTERS_QUEUE, MOST_READ);
  const deadLetters = letters.map(readDeadLetter);
  const permanent = await Promise.all(
    permanentQueues.map(async (queue): Promise<PermanentQueue> => {
      const found = await management.queue(physicalName(queue));
      const oldest = queue === DEAD_LETTERS ? deadLetters[0]?.since : found?.oldest;
      return { queue, statistics: found && statisticsOf(found), oldest };
    }),
  );
  return { permanent, progress, deadLetters, strays: 0 };
}

function statisticsOf({ name, messages, consumers, inFlight, enqueued, dequeued }: ManagedQueue): QueueStatistics {
  return { name, messages, consumers, inFlight, enqueued, dequeued, expired: undefined };
}
