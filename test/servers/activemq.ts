/** A real ActiveMQ Classic on free ports, with the configuration that operators run. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DEFAULT_ACTIVEMQ_SETTINGS,
  renderActiveMQ,
  type ActiveMQSettings,
} from '../../queue-config/activemq/render-activemq.js';
import { cacheFolder } from './cache-folder.js';
import { makeCertificates } from './certificates.js';
import { freePorts } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { findProgram, startServerProcess, type ServerProcess } from './server-process.js';
import { connectStomp, type StompPeer } from './stomp-peer.js';
import { Hopeless, waitUntil } from './wait-until.js';

/** `maven`: the release that `activemq/pom.xml` pins. `debian`: the package `activemq`, 5.17, without WebSocket. */
export type ActiveMQFlavour = 'maven' | 'debian';

export interface ActiveMQInstallation {
  flavour: ActiveMQFlavour;
  java: string;
  classpath: string;
  /** False where the build has no WebSocket transport. */
  webSocket: boolean;
}

export const ACCOUNTS = ['api-server', 'packager', 'operator'] as const;
export type ActiveMQAccount = (typeof ACCOUNTS)[number];

export interface ActiveMQOptions {
  flavour?: ActiveMQFlavour;
  /** How long an empty progress queue stays, in milliseconds; what operators run: 600,000. */
  idleMs?: number;
  /** How often idle queues are looked for; what operators run: 60,000. */
  sweepMs?: number;
  /** How often expired messages are looked for; what operators run: 30,000. */
  expiryMs?: number;
  /** What else an operator decides. */
  settings?: Partial<ActiveMQSettings>;
  /** Another configuration than Adit's, with the same placeholders. */
  configuration?: string;
  /** Largest heap, in MiB. */
  heapMiB?: number;
  /** Where its data lie instead of in a folder of its own, which is deleted at the end. */
  dataFolder?: string;
  /** The broker with which it shares data and passcodes: of the two, one serves and the other waits for the lock. */
  beside?: ActiveMQ;
  /** Of its process. */
  env?: Record<string, string>;
  /** With ports that speak TLS, beside the others. */
  tls?: boolean;
}

/** What the broker says of a queue. */
export interface QueueStatistics {
  size: number;
  consumers: number;
  producers: number;
  inflight: number;
  enqueued: number;
  dequeued: number;
  dispatched: number;
  expired: number;
}

export interface ActiveMQ {
  readonly flavour: ActiveMQFlavour;
  /** As the broker gives it, e.g. `6.1.8`. */
  readonly version: string;
  readonly stompPort: number;
  /** Undefined where the build has no WebSocket transport. */
  readonly wsPort: number | undefined;
  readonly passcodes: Readonly<Record<ActiveMQAccount, string>>;
  readonly dataFolder: string;
  readonly pid: number;
  /** `stomp://login:passcode@127.0.0.1:port` */
  url(account: ActiveMQAccount): string;
  /** `ws://login:passcode@127.0.0.1:port`. @throws {Error} where the build has no WebSocket transport */
  wsUrl(account: ActiveMQAccount): string;
  /** Where it was asked for: `stomp+ssl://…` and `wss://…`, and by what (PEM) its certificate is to be trusted. */
  tlsUrl(scheme: 'stomp+ssl' | 'wss', account: ActiveMQAccount): string;
  readonly authority: string | undefined;
  /**
   * Statistics of a queue by its canonical name (`/queue/package/5` or `package/5`), or undefined where the broker has none by
   * that name. Asking creates no queue and no consumer. Not on Debian's build (no XStream to write the answer with).
   */
  queue(name: string): Promise<QueueStatistics | undefined>;
  /** `queue(name)`'s consumers; 0 where there is no such queue. */
  consumerCount(name: string): Promise<number>;
  /** Shuts down cleanly; data and ports are kept for `restart`. */
  stop(): Promise<void>;
  /** `kill -9`; data and ports are kept for `restart`. */
  kill(): Promise<void>;
  /** Starts again, on the same ports and data; resolves when it accepts connections, or waits for the lock on shared data. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Ends the broker for good and deletes its data. */
  close(): Promise<void>;
  /** What it has logged, the last `characters` of it. */
  log(characters?: number): string;
}

const POM = new URL('./activemq/pom.xml', import.meta.url);
const DEBIAN_LIBRARIES = '/usr/share/activemq/lib';
/** What a broker logs whose data are locked by another. */
const STANDS_BY = /Database .+ is locked by another server/;

/** The ActiveMQ that is installed: the pinned release, else Debian's; of one flavour only, where it is given. */
export function findActiveMQ(flavour?: ActiveMQFlavour): ActiveMQInstallation | undefined {
  const java = findProgram('java');
  if (java === undefined) return undefined;
  const pinned = join(cacheFolder(), `activemq-${pinnedVersion()}`);
  if (flavour !== 'debian' && existsSync(pinned)) {
    return { flavour: 'maven', java, classpath: `${pinned}/*`, webSocket: true };
  }
  if (flavour !== 'maven' && existsSync(join(DEBIAN_LIBRARIES, 'activemq-broker.jar'))) {
    // Debian leaves XStream out, with which the broker writes the answers of its statistics plugin.
    const classpath = [`${DEBIAN_LIBRARIES}/*`, `${DEBIAN_LIBRARIES}/optional/*`, '/usr/share/java/xstream.jar'].join(
      ':',
    );
    return { flavour: 'debian', java, classpath, webSocket: false };
  }
  return undefined;
}

/** Starts a broker; resolves when it accepts connections on all its ports, or waits for the lock on shared data. */
export async function startActiveMQ(options: ActiveMQOptions = {}): Promise<ActiveMQ> {
  const installation = findActiveMQ(options.flavour);
  if (installation === undefined) throw new Error('ActiveMQ is not installed: test/servers/install.sh activemq');
  const folder = makeRunFolder('activemq');
  const [stompPort = 0, wsPort = 0, tlsPort = 0, wssPort = 0] = await freePorts(4);
  const certificates = options.tls === true ? makeCertificates(folder.path) : undefined;
  const passcodes = options.beside?.passcodes ?? {
    'api-server': passcode(),
    packager: passcode(),
    operator: passcode(),
  };
  const data = options.beside?.dataFolder ?? options.dataFolder ?? folder.path;
  const logFile = join(folder.path, 'activemq.log');
  const configuration = join(folder.path, 'activemq.xml');
  writeFileSync(
    configuration,
    options.configuration ??
      renderActiveMQ({
        ...DEFAULT_ACTIVEMQ_SETTINGS,
        ...timesOf(options),
        tls: certificates !== undefined,
        ...options.settings,
      }),
  );
  const launch = (): ServerProcess =>
    startServerProcess({
      command: installation.java,
      args: launchArguments(installation, { configuration, data, heapMiB: options.heapMiB ?? 256 }),
      logFile,
      env: {
        BROKER_HOST: '127.0.0.1',
        BROKER_STOMP_PORT: String(stompPort),
        BROKER_WS_PORT: String(wsPort),
        BROKER_WS_SCHEME: installation.webSocket ? 'ws' : 'stomp',
        BROKER_TLS_HOST: '127.0.0.1',
        BROKER_TLS_PORT: String(tlsPort),
        BROKER_WSS_PORT: String(wssPort),
        BROKER_WSS_SCHEME: installation.webSocket ? 'wss' : 'stomp+ssl',
        BROKER_KEYSTORE: certificates?.keyStoreFile ?? '',
        BROKER_KEYSTORE_PASSWORD: certificates?.keyStorePassword ?? '',
        BROKER_API_SERVER_PASSCODE: passcodes['api-server'],
        BROKER_PACKAGER_PASSCODE: passcodes.packager,
        BROKER_OPERATOR_PASSCODE: passcodes.operator,
        ...options.env,
      },
    });
  const address = (scheme: string, port: number, account: ActiveMQAccount): string =>
    `${scheme}://${account}:${passcodes[account]}@127.0.0.1:${port}`;
  const url = (account: ActiveMQAccount): string => address('stomp', stompPort, account);
  const further = options.configuration === undefined ? [wsPort, ...(certificates ? [tlsPort, wssPort] : [])] : [];
  let broker = launch();
  let logged = 0;
  const answersStomp = async (): Promise<string> => {
    if (STANDS_BY.test(broker.log(Infinity).slice(logged))) return '';
    const peer = await whileRunning(broker, () => connectStomp(url('operator')));
    await peer.disconnect();
    // It opens its ports one after the other, and those with TLS last.
    for (const port of further) await expectListener(port);
    return peer.connected.headers['server'] ?? '';
  };
  const up = (): Promise<string> => waitUntil('ActiveMQ answers STOMP', answersStomp, { deadlineMs: 60_000 });
  const server = await up().catch(async (error: unknown) => {
    await broker.kill();
    folder.remove();
    throw error;
  });
  const queue: ActiveMQ['queue'] = async (name) => {
    const peer = await connectStomp(url('operator'));
    try {
      return await readStatistics(peer, name);
    } finally {
      await peer.disconnect();
    }
  };
  return {
    flavour: installation.flavour,
    version: server.replace('ActiveMQ/', ''),
    stompPort,
    wsPort: installation.webSocket ? wsPort : undefined,
    passcodes,
    dataFolder: data,
    get pid() {
      return broker.pid;
    },
    url,
    wsUrl(account) {
      if (!installation.webSocket) throw new Error("Debian's ActiveMQ has no WebSocket transport");
      return address('ws', wsPort, account);
    },
    tlsUrl: (scheme, account) => address(scheme, scheme === 'wss' ? wssPort : tlsPort, account),
    authority: certificates?.authority,
    queue,
    consumerCount: async (name) => (await queue(name))?.consumers ?? 0,
    stop: () => broker.stop(),
    kill: () => broker.kill(),
    async restart() {
      await broker.stop();
      logged = broker.log(Infinity).length;
      broker = launch();
      await up();
    },
    freeze: () => broker.freeze(),
    thaw: () => broker.thaw(),
    async close() {
      await broker.kill();
      folder.remove();
    },
    log: (characters) => broker.log(characters),
  };
}

/** The version in `activemq/pom.xml`, which is the only place that states it. */
export function pinnedVersion(): string {
  const version = /<activemq\.version>([^<]+)</.exec(readFileSync(POM, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${fileURLToPath(POM)} names no activemq.version`);
  return version;
}

function launchArguments(
  { classpath }: ActiveMQInstallation,
  { configuration, data, heapMiB }: { configuration: string; data: string; heapMiB: number },
): string[] {
  return [
    // Growing step by step, a large one would be searched whole at each: for seconds.
    `-Xms${heapMiB > 1024 ? heapMiB : 32}m`,
    `-Xmx${heapMiB}m`,
    '-XX:+UseSerialGC',
    '-XX:TieredStopAtLevel=1',
    // After an OutOfMemoryError the broker would stay up and accept nothing.
    '-XX:+ExitOnOutOfMemoryError',
    '-Djava.awt.headless=true',
    `-Dactivemq.home=${data}`,
    `-Dactivemq.base=${data}`,
    `-Dactivemq.data=${data}`,
    '-cp',
    classpath,
    'org.apache.activemq.console.command.ShellCommand',
    'start',
    `xbean:file:${configuration}`,
  ];
}

/** The times that are given, as the configuration calls them. */
function timesOf({ idleMs, sweepMs, expiryMs }: ActiveMQOptions): Partial<ActiveMQSettings> {
  return {
    ...(idleMs === undefined ? {} : { idleQueueMs: idleMs }),
    ...(sweepMs === undefined ? {} : { sweepMs }),
    ...(expiryMs === undefined ? {} : { expiryMs }),
  };
}

async function whileRunning<T>(broker: ServerProcess, attempt: () => Promise<T>): Promise<T> {
  if (!broker.running()) throw new Hopeless(`ActiveMQ has ended:\n${broker.log()}`);
  return attempt();
}

/** @throws {Error} nobody listens there */
async function expectListener(port: number): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port });
  try {
    await once(socket, 'connect');
  } finally {
    socket.destroy();
  }
}

/**
 * Asks the statistics plugin. It says nothing at all of a queue that does not exist, so the same question is put about
 * `docsets.package`, which always exists: answers come in the order of the questions.
 */
async function readStatistics(peer: StompPeer, name: string): Promise<QueueStatistics | undefined> {
  const physicalName = name.replace(/^\/queue\//, '').replaceAll('/', '.');
  const replies = '/temp-queue/statistics';
  await peer.request('SUBSCRIBE', { id: 'statistics', destination: replies, ack: 'auto' });
  for (const subject of [physicalName, 'docsets.package']) {
    const destination = `/queue/ActiveMQ.Statistics.Destination.${subject}`;
    await peer.request('SEND', { destination, 'reply-to': replies });
  }
  const { body } = await peer.message();
  return body.includes(`<string>queue://${physicalName}</string>`) ? parseStatistics(body) : undefined;
}

/** The map message as XStream writes it: pairs of a name and a number. */
function parseStatistics(xml: string): QueueStatistics {
  const count = (name: string): number => {
    const value = new RegExp(`<string>${name}</string>\\s*<(?:long|int)>(\\d+)<`).exec(xml)?.[1];
    if (value === undefined) throw new Error(`the broker's statistics have no ${name}: ${xml}`);
    return Number(value);
  };
  return {
    size: count('size'),
    consumers: count('consumerCount'),
    producers: count('producerCount'),
    inflight: count('inflightCount'),
    enqueued: count('enqueueCount'),
    dequeued: count('dequeueCount'),
    dispatched: count('dispatchCount'),
    expired: count('expiredCount'),
  };
}

const passcode = (): string => randomBytes(12).toString('hex');
