/** The brokers on which drills are done, as those see them. */
import { readStatus, type QueuesStatus } from '../../queue-config/operations/status.js';
import { startActiveMQ, type ActiveMQ, type ActiveMQOptions } from '../servers/activemq.js';
import { startArtemis, type Artemis } from '../servers/artemis.js';
import { connectStomp } from '../servers/stomp-peer.js';
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
const SOON_OF_ARTEMIS = { idleQueueMs: 3_000, sweepMs: 500, expiryMs: 500 };

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
    status: () => readStatus(broker.url('operator')),
    pid: () => broker.pid,
    close: () => broker.close(),
  };
}

/** Two ActiveMQ Classic on one journal: one serves, the other waits for its lock. */
export async function startPair(options: ActiveMQOptions = {}): Promise<DrillBroker> {
  const first = await startActiveMQ({ ...SOON, ...options });
  const second = await startActiveMQ({ ...SOON, ...options, beside: first });
  return pairOf([
    { ...ofPair(first), ports: [first.stompPort], url: (account) => first.url(account) },
    { ...ofPair(second), ports: [second.stompPort], url: (account) => second.url(account) },
  ]);
}

/** Artemis, primary and backup, on one journal. */
export async function startArtemisPair(): Promise<DrillBroker> {
  const primary = await startArtemis({ settings: { ...SOON_OF_ARTEMIS, pair: 'primary' } });
  const backup = await startArtemis({ settings: { ...SOON_OF_ARTEMIS, pair: 'backup' }, beside: primary });
  return pairOf([
    { ...ofPair(primary), ports: [primary.port], url: (account) => primary.url('stomp', account) },
    { ...ofPair(backup), ports: [backup.port], url: (account) => backup.url('stomp', account) },
  ]);
}

/** One of two. */
type OfPair = Pick<DrillBroker, 'ports' | 'url' | 'kill' | 'stop' | 'restart' | 'freeze' | 'thaw' | 'pid' | 'close'>;

const ofPair = (broker: ActiveMQ | Artemis): Omit<OfPair, 'ports' | 'url'> => ({
  kill: () => broker.kill(),
  stop: () => broker.stop(),
  restart: () => broker.restart(),
  freeze: () => broker.freeze(),
  thaw: () => broker.thaw(),
  pid: () => broker.pid,
  close: () => broker.close(),
});

function pairOf(both: readonly [OfPair, OfPair]): DrillBroker {
  const [first, second] = both;
  let killed: OfPair | undefined;
  const urls = (account: Account): string => both.map((broker) => broker.url(account)).join();
  const serving = (): Promise<OfPair> =>
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
    ports: both.flatMap(({ ports }) => ports),
    url: urls,
    kill: () => end('kill'),
    async restart() {
      await killed?.restart();
      await serving();
    },
    stop: () => end('stop'),
    freeze: () => first.freeze(),
    thaw: () => first.thaw(),
    status: () => readStatus(urls('operator')),
    pid: () => first.pid(),
    async close() {
      // The data are the first one's.
      await second.close();
      await first.close();
    },
  };
}

async function answers(broker: OfPair): Promise<boolean> {
  try {
    const peer = await connectStomp(broker.url('operator'));
    await peer.disconnect();
    return true;
  } catch {
    return false;
  }
}
