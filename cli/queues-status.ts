/** `adit queues status | redrive | purge` */
import { openBroker } from '../queue-config/index.js';
import { brokerSettings, urlsFor } from '../queue-config/operations/accounts.js';
import { purge, redrive } from '../queue-config/operations/dead-letters.js';
import { readStatus } from '../queue-config/operations/status.js';
import type { Broker } from '../queue-config/broker.js';
import { print, printJson, printTable } from './miner-settings.js';

export interface QueueOptions {
  json?: boolean;
}

export async function runStatus({ json }: QueueOptions): Promise<void> {
  const { permanent, progress, deadLetters, strays } = await readStatus(
    urlsFor('operator', process.env),
    process.env['BROKER_MANAGEMENT_URL'],
    brokerSettings(process.env),
  );
  if (json === true) {
    const letters = deadLetters.map(({ original, ...letter }) => ({ ...letter, whole: original.type === 'whole' }));
    printJson({ permanent, progress, deadLetters: letters, strays });
    return;
  }
  printTable(
    ['queue', 'waiting', 'consumers', 'taken', 'oldest'],
    [
      ...permanent.map(({ queue, statistics, oldest }) => [
        queue,
        ...(statistics === undefined
          ? ['not there', '-', '-']
          : [statistics.messages, statistics.consumers, statistics.inFlight]),
        oldest?.toISOString(),
      ]),
      [`/queue/package/… (${progress.queues})`, progress.messages, progress.consumers, null, null],
    ],
  );
  if (strays > 0) print(`\n${strays} messages are in ActiveMQ.DLQ, where none belongs: "adit queues render".`);
  if (deadLetters.length === 0) return;
  print('\nDead letters');
  const rows = deadLetters.map(({ since, from, reason }) => [since?.toISOString(), from, reason]);
  printTable(['since', 'from', 'reason'], rows);
}

export async function runRedrive({ json }: QueueOptions): Promise<void> {
  const { sent, kept } = await asOperator(redrive);
  if (kept.length > 0) process.exitCode = 2;
  if (json === true) {
    printJson({ sent, kept });
    return;
  }
  print(`${sent} dead letters were sent again, and ${kept.length} stay.`);
  if (kept.length > 0)
    printTable(
      ['dead letter', 'stays because'],
      kept.map(({ id, why }) => [id, why]),
    );
}

export async function runPurge({ json }: QueueOptions): Promise<void> {
  const deleted = await asOperator(purge);
  if (json === true) printJson({ deleted });
  else print(`${deleted} dead letters were deleted.`);
}

async function asOperator<T>(work: (broker: Broker) => Promise<T>): Promise<T> {
  const broker = openBroker({ urls: urlsFor('operator', process.env), ...brokerSettings(process.env) });
  try {
    return await work(broker);
  } finally {
    await broker.close();
  }
}
