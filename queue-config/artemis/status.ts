/** How the queues are on Artemis, which tells by its management. */
import { randomUUID } from 'node:crypto';
import type { IMessage } from '@stomp/stompjs';
import { awaited } from '../awaited.js';
import { BrokerUnavailableError, type ReceivedMessage } from '../broker.js';
import { DEAD_LETTERS, type Destination } from '../destinations.js';
import { readDeadLetter } from '../operations/dead-letters.js';
import type { PermanentQueue, QueuesStatus } from '../operations/status.js';
import type { StompConnection } from '../stomp-connection.js';
import { artemis } from './dialect.js';
import { openManagement, physicalName, STRAYS, type ManagedQueue } from './management.js';

const PERMANENT_PREFIX = 'docsets/';
const PROGRESS_PREFIX = 'package/';
/** Dead letters that are read. */
const MOST_READ = 400;
const PATIENCE = 10_000;
const FENCE_TTL = 60_000;

/** @throws {BrokerUnavailableError | BrokerRefusedError | ManagementError} */
export async function readArtemisStatus(
  connection: StompConnection,
  permanentQueues: readonly Destination[],
): Promise<QueuesStatus> {
  const management = await openManagement(connection);
  const known = new Map<string, ManagedQueue>();
  const note = (queues: readonly ManagedQueue[]): void => queues.forEach((queue) => known.set(queue.name, queue));
  for (const prefix of [PERMANENT_PREFIX, ...STRAYS]) await management.queues(prefix, note);
  const progress = { queues: 0, messages: 0, consumers: 0 };
  await management.queues(PROGRESS_PREFIX, (queues) => {
    progress.queues += queues.length;
    for (const { messages, consumers } of queues) {
      progress.messages += messages;
      progress.consumers += consumers;
    }
  });
  const hasLetters = (known.get(physicalName(DEAD_LETTERS))?.messages ?? 0) > 0;
  const deadLetters = hasLetters ? (await look(connection, DEAD_LETTERS)).map(readDeadLetter) : [];
  const permanent: PermanentQueue[] = [];
  for (const queue of permanentQueues) {
    const name = physicalName(queue);
    const oldest = queue === DEAD_LETTERS ? deadLetters[0]?.since : await management.oldestOf(name);
    permanent.push({ queue, statistics: known.get(name), oldest });
  }
  await management.close();
  const strays = STRAYS.reduce((sum, name) => sum + (known.get(name)?.messages ?? 0), 0);
  return { permanent, progress, deadLetters, strays };
}

/**
 * The first messages of a queue. Artemis shows no message over STOMP without handing it out, so they are taken, and go back as they
 * were when the subscription ends. Only for queues on which nobody waits.
 */
async function look(connection: StompConnection, destination: Destination): Promise<ReceivedMessage[]> {
  const fence = randomUUID();
  const seen: ReceivedMessage[] = [];
  const headers = { ...artemis.sendHeaders(destination), ...artemis.expiryHeaders(Date.now() + FENCE_TTL), fence };
  connection.sendUnconfirmed(artemis.spell(destination), headers, 'fence');
  const tooLate = () => new BrokerUnavailableError(`${destination} cannot be looked at`);
  await awaited(connection, { ms: PATIENCE, tooLate }, (resolve, reject) => {
    const onMessage = (message: IMessage): void => {
      if (message.headers['fence'] === fence)
        connection
          .ack(message)
          .then(() => subscription.end())
          .then(resolve, reject);
      else if (seen.push({ headers: message.headers, body: message.body }) === MOST_READ)
        subscription.end().then(resolve, reject);
    };
    const wanted = { ack: 'client-individual', ...artemis.drain.subscribeHeaders(fence, MOST_READ) };
    const subscription = connection.subscribe(artemis.spell(destination), wanted, onMessage);
    subscription.confirmed.catch(reject);
  });
  return seen.slice(0, MOST_READ);
}
