/** The brokers that have to keep the contract: what the suite runs on, and what the bench compares. One row each. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DialectName } from '../../queue-config/index.js';
import type { Account } from '../../queue-config/operations/accounts.js';
import { startActiveMQ, type ActiveMQFlavour } from '../servers/activemq.js';
import { startArtemis } from '../servers/artemis.js';
import type { ServerName } from '../servers/installed.js';
import { startRabbitMQ } from '../servers/rabbitmq.js';
import { buildBroker, removeBuild, startBrokerProcess } from './embedded-broker-process.js';

/** Queues at a time that the suite makes; `npm run test:brokers:long` has 50,000. */
export const MANY_QUEUES = Number(process.env['MANY_QUEUES'] ?? 300);

export type Transport = 'stomp' | 'ws' | 'stomp+ssl' | 'wss';

/** A broker that is running, with the configuration that operators run. */
export interface RunningBroker {
  readonly pid: number;
  /** With the credentials of the account; the operator's may do anything. */
  url(transport: Transport, account?: Account): string;
  /** PEM certificates by which its TLS is to be trusted; undefined where it has none. */
  readonly authority?: string | undefined;
  /** `kill -9`, then a start on the same data and ports. */
  killAndRestart(): Promise<void>;
  stop(): Promise<void>;
}

export interface BrokerRow {
  readonly title: string;
  /** What has to be installed; undefined where nothing has. */
  readonly server: ServerName | undefined;
  readonly dialect: DialectName;
  /** The whole suite runs over the first, a short list over the others. */
  readonly transports: readonly Transport[];
  /** False where every account may do everything. */
  readonly hasRights: boolean;
  /** What becomes of a message that a consumer refuses (NACK). */
  readonly afterRefusal: 'a dead letter' | 'delivered again' | 'lost';
  /** Of what was acknowledged just before a `kill -9`. Adit knows what it has seen by the sequence of events. */
  readonly afterKill: 'nothing comes back' | 'the last of it may come again';
  /** @param queues that its memory has to have room for at a time */
  start(queues?: number): Promise<RunningBroker>;
}

export type BrokerKey = 'embedded' | 'activemq' | 'activemq-debian' | 'artemis' | 'rabbitmq';

export const BROKERS: Readonly<Record<BrokerKey, BrokerRow>> = {
  embedded: {
    title: 'the embedded broker',
    server: undefined,
    dialect: 'adit',
    transports: ['stomp', 'ws'],
    hasRights: false,
    afterRefusal: 'a dead letter',
    afterKill: 'nothing comes back',
    start: startEmbedded,
  },
  activemq: {
    title: 'ActiveMQ Classic 6',
    server: 'activemq',
    dialect: 'activemq',
    transports: ['stomp', 'ws', 'stomp+ssl', 'wss'],
    hasRights: true,
    afterRefusal: 'a dead letter',
    afterKill: 'nothing comes back',
    start: (queues) => startClassic('maven', queues),
  },
  'activemq-debian': {
    title: 'ActiveMQ Classic 5.17',
    server: 'activemq-debian',
    dialect: 'activemq',
    transports: ['stomp'],
    hasRights: true,
    afterRefusal: 'a dead letter',
    afterKill: 'nothing comes back',
    start: (queues) => startClassic('debian', queues),
  },
  artemis: {
    title: 'ActiveMQ Artemis',
    server: 'artemis',
    dialect: 'artemis',
    transports: ['stomp', 'ws', 'stomp+ssl', 'wss'],
    hasRights: true,
    afterRefusal: 'lost',
    afterKill: 'nothing comes back',
    start: startArtemisBroker,
  },
  rabbitmq: {
    title: 'RabbitMQ',
    server: 'rabbitmq',
    dialect: 'rabbitmq',
    transports: ['stomp', 'ws', 'stomp+ssl', 'wss'],
    hasRights: true,
    afterRefusal: 'a dead letter',
    afterKill: 'the last of it may come again',
    start: startRabbit,
  },
};

/**
 * In MiB, where each of them takes so many KiB. A third of a heap is for what is new; where the rest is full, it is searched for garbage
 * without end, and nobody is answered.
 */
const heapOf = (queues: number, kibibytes: number): number => Math.ceil(((queues * kibibytes) / 1024) * 1.75);

async function startRabbit(): Promise<RunningBroker> {
  const rabbitmq = await startRabbitMQ({ tls: true });
  return {
    get pid() {
      return rabbitmq.pid;
    },
    authority: rabbitmq.authority,
    url(transport, account = 'operator') {
      if (transport === 'stomp') return rabbitmq.url(account);
      return transport === 'ws' ? rabbitmq.wsUrl(account) : rabbitmq.tlsUrl(transport, account);
    },
    async killAndRestart() {
      await rabbitmq.kill();
      await rabbitmq.restart();
    },
    stop: () => rabbitmq.close(),
  };
}

async function startClassic(flavour: ActiveMQFlavour, queues = MANY_QUEUES): Promise<RunningBroker> {
  const activemq = await startActiveMQ({ flavour, tls: flavour === 'maven', heapMiB: 256 + heapOf(queues, 21) });
  return {
    get pid() {
      return activemq.pid;
    },
    authority: activemq.authority,
    url(transport, account = 'operator') {
      if (transport === 'stomp') return activemq.url(account);
      return transport === 'ws' ? activemq.wsUrl(account) : activemq.tlsUrl(transport, account);
    },
    async killAndRestart() {
      await activemq.kill();
      await activemq.restart();
    },
    stop: () => activemq.close(),
  };
}

async function startArtemisBroker(queues = MANY_QUEUES): Promise<RunningBroker> {
  const artemis = await startArtemis({ heapMiB: 384 + heapOf(queues, 26) });
  return {
    get pid() {
      return artemis.pid;
    },
    authority: artemis.authority,
    url: (transport, account = 'operator') => artemis.url(transport, account),
    async killAndRestart() {
      await artemis.kill();
      await artemis.restart();
    },
    stop: () => artemis.close(),
  };
}

const LOGIN = 'adit';
const PASSCODE = 'p@ss:word/';

async function startEmbedded(): Promise<RunningBroker> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-broker-'));
  const build = buildBroker();
  const accounts = [{ login: LOGIN, passcode: PASSCODE }];
  let broker = await startBrokerProcess(build, { folder, accounts, webSocketPort: 0 });
  const port = Number(new URL(broker.url).port);
  const webSocketPort = Number(new URL(broker.webSocketUrl ?? '').port);
  return {
    get pid() {
      return broker.pid;
    },
    url: (transport) =>
      `${transport}://${LOGIN}:${encodeURIComponent(PASSCODE)}@127.0.0.1:${transport === 'ws' ? webSocketPort : port}`,
    async killAndRestart() {
      await broker.kill();
      broker = await startBrokerProcess(build, { folder, accounts, port, webSocketPort });
    },
    async stop() {
      await broker.stop();
      removeBuild(build);
      await rm(folder, { recursive: true, force: true });
    },
  };
}
