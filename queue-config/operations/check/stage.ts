/** Where a check takes place: connections as each account, and queues of its own, so that it meets no real message. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { IMessage } from '@stomp/stompjs';
import { BrokerRefusedError, type ReceivedMessage } from '../../broker.js';
import type { BrokerAddress } from '../../broker-url.js';
import type { DialectName } from '../../dialect.js';
import { eventsOf, type Destination } from '../../destinations.js';
import { managementAddress, openManagement, type Management } from '../../rabbitmq/management.js';
import { connect, type StompConnection } from '../../stomp-connection.js';
import type { Account } from '../accounts.js';
import { browse } from '../browse.js';
import { NoStatisticsError, readStatistics, type QueueStatistics } from '../statistics.js';

export interface CheckOptions {
  readonly addresses: Readonly<Record<Account, BrokerAddress>>;
  /** The ceiling that messages should have, in milliseconds. */
  readonly ceilingMs: number;
  /** How long to wait for an idle queue to be removed, in milliseconds. */
  readonly waitMs: number;
  /** Instead of the one that the broker names. */
  readonly dialect?: DialectName | undefined;
  /** PEM certificates that are trusted beside those that Node.js trusts. */
  readonly authority?: string | undefined;
  /** Of the broker's HTTP API, where it has one that tells more than STOMP. */
  readonly managementUrl?: string | undefined;
}

export interface Stage extends CheckOptions {
  /** Marks all messages of this check: the header `adit_check`. */
  readonly run: string;
  /** A connection of its own, ended with the check. @throws {BrokerRefusedError | BrokerUnavailableError} */
  as(account: Account): Promise<StompConnection>;
  /** A connection that is not the account's: another passcode, or none. */
  open(address: BrokerAddress, heartbeatMs?: number): Promise<StompConnection>;
  /**
   * Undefined where the broker has no such queue. A broker that has once said nothing is not waited for again.
   * @throws {NoStatisticsError}
   */
  statisticsOf(connection: StompConnection, queue: string): Promise<QueueStatistics | undefined>;
  /** A progress queue that nobody else knows. */
  freshEvents(): Destination;
  /** The HTTP API, as the operator; undefined without its URL. */
  readonly management: Management | undefined;
  /** All that `freshEvents` gave. */
  readonly events: readonly Destination[];
  close(): void;
}

const TIMEOUTS = { connectTimeoutMs: 5_000, receiptTimeoutMs: 5_000 };

export function openStage(options: CheckOptions): Stage {
  const run = randomUUID().slice(0, 8);
  const connections: StompConnection[] = [];
  const events: Destination[] = [];
  const { dialect, authority } = options;
  const open: Stage['open'] = async (address, heartbeatMs = 5_000) => {
    const connection = await connect(address, { ...TIMEOUTS, heartbeatMs, dialect, authority });
    connections.push(connection);
    return connection;
  };
  const { managementUrl, addresses } = options;
  const management =
    managementUrl === undefined ? undefined : openManagement(managementAddress(addresses.operator, managementUrl));
  let silence: NoStatisticsError | undefined;
  return {
    ...options,
    run,
    events,
    management,
    open,
    as: (account) => open(options.addresses[account]),
    async statisticsOf(connection, queue) {
      if (silence !== undefined) throw silence;
      const name = queue.replace(/^\/queue\//, '').replaceAll('/', '.');
      let found: QueueStatistics | undefined;
      try {
        await readStatistics(connection, [name], (statistics) => {
          if (statistics.name === name) found = statistics;
        });
      } catch (error) {
        if (error instanceof NoStatisticsError) silence = error;
        throw error;
      }
      return found;
    },
    freshEvents() {
      const queue = eventsOf(`adit-check-${run}-${events.length + 1}`);
      events.push(queue);
      return queue;
    },
    close() {
      for (const connection of connections) connection.drop(new Error('the check is over'));
    },
  };
}

/** SEND with the mark of the check. */
export function sendMarked(
  connection: StompConnection,
  destination: string,
  { run }: Stage,
  headers: Readonly<Record<string, string>> = {},
  body = 'a message of adit queues check',
): Promise<void> {
  return connection.send(
    connection.dialect.spell(destination as Destination),
    { 'amq-msg-type': 'text', adit_check: run, ...headers },
    body,
  );
}

export const markedBy = ({ run }: Stage): string => `adit_check = '${run}'`;

/** Takes up to `count` messages of the check off a queue; fewer where no more come within `withinMs`. */
export async function takeMarked(
  connection: StompConnection,
  destination: string,
  stage: Stage,
  { count, withinMs = 3_000, refuse = false }: { count: number; withinMs?: number; refuse?: boolean },
): Promise<ReceivedMessage[]> {
  const taken: IMessage[] = [];
  let full = (): void => undefined;
  const filled = new Promise<void>((resolve) => (full = resolve));
  const headers = { ack: 'client-individual', selector: markedBy(stage) };
  const name = connection.dialect.spell(destination as Destination);
  const subscription = connection.subscribe(name, headers, (message) => {
    if (taken.length >= count) return;
    taken.push(message);
    if (refuse) message.nack();
    else connection.ackUnconfirmed(message);
    if (taken.length === count) full();
  });
  await subscription.confirmed;
  const stopWaiting = new AbortController();
  await Promise.race([filled, sleep(withinMs, undefined, { signal: stopWaiting.signal }).catch(() => undefined)]);
  stopWaiting.abort();
  await subscription.end();
  return taken.map((message) => ({ headers: message.headers, body: message.body }));
}

/** Takes what the check left on a queue, if anything. Browsing first ends without waiting. */
export async function clear(connection: StompConnection, destination: string, stage: Stage): Promise<number> {
  const left = await browse(connection, destination, { selector: markedBy(stage) });
  if (left.length > 0) await takeMarked(connection, destination, stage, { count: left.length });
  return left.length;
}

/** True where the broker said no; false where it let it pass. Other errors come out. */
export async function isRefused(attempt: () => Promise<unknown>): Promise<boolean> {
  try {
    await attempt();
    return false;
  } catch (error) {
    if (error instanceof BrokerRefusedError) return true;
    throw error;
  }
}
