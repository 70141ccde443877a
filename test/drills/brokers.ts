/** The brokers on which drills are done, as those see them. */
import { readStatus, type QueuesStatus } from '../../queue-config/operations/status.js';
import { startActiveMQ, type ActiveMQ, type ActiveMQOptions } from '../servers/activemq.js';
import { waitUntil } from '../servers/wait-until.js';

export type Account = 'api-server' | 'packager' | 'operator';

export interface DrillBroker {
  /** On which it, or one of a pair, is reached. */
  readonly ports: readonly number[];
  url(account: Account): string;
  /** `kill -9` of the one that serves. */
  kill(): Promise<void>;
  /** Starts what was killed or stopped. */
  restart(): Promise<void>;
  stop(): Promise<void>;
  freeze(): void;
  thaw(): void;
  status(): Promise<QueuesStatus>;
  /** Bytes that its process takes. */
  pid(): number;
  close(): Promise<void>;
}

/** Progress queues go soon, so that a drill can see that none stays. */
const SOON = { idleMs: 3_000, sweepMs: 500, expiryMs: 500 };

export async function startSingle(options: ActiveMQOptions = {}): Promise<DrillBroker> {
  const broker = await startActiveMQ({ ...SOON, ...options });
  return {
    ports: [broker.stompPort],
    url: (account) => broker.url(account),
    kill: () => broker.kill(),
    restart: () => broker.restart(),
    stop: () => broker.stop(),
    freeze: () => broker.freeze(),
    thaw: () => broker.thaw(),
    status: () => statusOf([broker]),
    pid: () => broker.pid,
    close: () => broker.close(),
  };
}

/** Two on one journal: one serves, the other waits for its lock. */
export async function startPair(options: ActiveMQOptions = {}): Promise<DrillBroker> {
  const first = await startActiveMQ({ ...SOON, ...options });
  const second = await startActiveMQ({ ...SOON, ...options, beside: first });
  const both = [first, second];
  let killed: ActiveMQ | undefined;
  const serving = (): Promise<ActiveMQ> =>
    waitUntil(
      'one of the pair serves',
      async () => {
        for (const broker of both) if (await answers(broker)) return broker;
        return undefined;
      },
      { deadlineMs: 60_000 },
    );
  const end = async (how: 'kill' | 'stop'): Promise<void> => {
    killed = await serving();
    await killed[how]();
  };
  return {
    ports: both.map(({ stompPort }) => stompPort),
    url: (account) => both.map((broker) => broker.url(account)).join(),
    kill: () => end('kill'),
    async restart() {
      await killed?.restart();
      await serving();
    },
    stop: () => end('stop'),
    freeze: () => first.freeze(),
    thaw: () => first.thaw(),
    status: () => statusOf(both),
    pid: () => first.pid,
    async close() {
      // The data are the first one's.
      await second.close();
      await first.close();
    },
  };
}

async function answers(broker: ActiveMQ): Promise<boolean> {
  return broker.consumerCount('docsets.package').then(
    () => true,
    () => false,
  );
}

const statusOf = (brokers: readonly ActiveMQ[]): Promise<QueuesStatus> =>
  readStatus(brokers.map((broker) => broker.url('operator')).join());
