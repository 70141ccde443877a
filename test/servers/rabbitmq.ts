/** A real RabbitMQ on free ports, with the configuration that operators run: the program of Debian's package, not its service. */
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import {
  DEFAULT_RABBITMQ_SETTINGS,
  renderRabbitMQ,
  type RabbitMQAccount,
  type RabbitMQFile,
  type RabbitMQSettings,
} from '../../queue-config/rabbitmq/render-rabbitmq.js';
import { makeCertificates, type Certificates } from './certificates.js';
import { freePorts } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { findProgram, startServerProcess, type ServerProcess } from './server-process.js';
import { Hopeless, waitUntil } from './wait-until.js';

/** Debian's wrapper in /usr/sbin changes the user and the folder; this is what it calls. */
const PROGRAM = '/usr/lib/rabbitmq/bin/rabbitmq-server';

export interface RabbitMQOptions {
  /** Other settings than those that operators run. */
  settings?: Partial<RabbitMQSettings>;
  /** Changes the files that were rendered. */
  change?: (files: Readonly<Record<RabbitMQFile, string>>) => Readonly<Record<RabbitMQFile, string>>;
  /** True where there is TLS as well, with a certificate of the test's own. */
  tls?: boolean;
  /** True for what RabbitMQ is without any configuration of ours: the user `guest`, and the plugins switched on. */
  stock?: boolean;
}

export interface RabbitMQ {
  /** As the broker gives it, e.g. `3.10.8`. */
  readonly version: string;
  readonly stompPort: number;
  readonly wsPort: number;
  readonly passcodes: Readonly<Record<RabbitMQAccount, string>>;
  readonly pid: number;
  /** PEM; what clients trust. Undefined without TLS. */
  readonly authority: string | undefined;
  /** `stomp+ssl://…` or `wss://…/ws`. */
  tlsUrl(scheme: 'stomp+ssl' | 'wss', account: RabbitMQAccount): string;
  /** `stomp://login:passcode@127.0.0.1:port` */
  url(account: RabbitMQAccount): string;
  /** `ws://login:passcode@127.0.0.1:port/ws` */
  wsUrl(account: RabbitMQAccount): string;
  /** Of the HTTP API, without a login. */
  readonly managementUrl: string;
  /** An answer of the HTTP API to the operator, or undefined for 404; with content, a PUT of it. A stock one takes it from `guest`. */
  ask(path: string, content?: object): Promise<unknown>;
  /** Shuts down cleanly; data and ports are kept for `restart`. */
  stop(): Promise<void>;
  /** `kill -9`; data and ports are kept for `restart`. */
  kill(): Promise<void>;
  /** Starts again, on the same ports and data. */
  restart(): Promise<void>;
  /** SIGSTOP: connections stay open, and nothing is answered. */
  freeze(): void;
  thaw(): void;
  /** Ends the broker for good and deletes its data. */
  close(): Promise<void>;
  /** What it has logged, the last `characters` of it. */
  log(characters?: number): string;
}

/** True where Debian's package is installed. */
export function findRabbitMQ(): boolean {
  return existsSync(PROGRAM) && findProgram('epmd') !== undefined;
}

/** Starts a broker; resolves when it accepts connections. */
export async function startRabbitMQ(options: RabbitMQOptions = {}): Promise<RabbitMQ> {
  const folder = makeRunFolder('rabbitmq');
  const [stompPort = 0, wsPort = 0, managementPort = 0, epmdPort = 0, nodePort = 0, prometheusPort = 0, ...tlsPorts] =
    await freePorts(9);
  const [stompTlsPort = 0, webSocketTlsPort = 0, managementTlsPort = 0] = tlsPorts;
  const passcodes = { 'api-server': passcode(), packager: passcode(), operator: passcode() };
  const stock = options.stock === true;
  const files = filesOf(options, {
    ...DEFAULT_RABBITMQ_SETTINGS,
    folder: folder.path,
    passcodes,
    host: '127.0.0.1',
    // The disk of a machine for tests may be nearly full.
    disk: '50 mb',
    stompPort,
    webSocketPort: wsPort,
    managementPort,
    stompTlsPort,
    webSocketTlsPort,
    managementTlsPort,
    tls: options.tls === true,
    ...options.settings,
  });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder.path, name), text);
  if (!stock) {
    const port = `prometheus.tcp.ip = 127.0.0.1\nprometheus.tcp.port = ${prometheusPort}\n`;
    writeFileSync(join(folder.path, 'rabbitmq.conf'), files['rabbitmq.conf'] + port);
  }
  const certificates = options.tls === true ? placeCertificates(join(folder.path, 'tls')) : undefined;
  const names = await startNames(epmdPort, folder.path);
  const logFile = join(folder.path, 'rabbitmq.log');
  const launch = (): ServerProcess =>
    startServerProcess({
      command: PROGRAM,
      // With RABBITMQ_ALLOW_INPUT the script becomes the server instead of waiting for it; this keeps it from reading input all the same.
      args: ['-noinput'],
      logFile,
      cwd: folder.path,
      env: { RABBITMQ_ALLOW_INPUT: '1', ...environmentOf(folder.path, epmdPort, nodePort) },
    });
  const login = (account: RabbitMQAccount): string =>
    stock ? 'guest:guest' : `${account}:${encodeURIComponent(passcodes[account])}`;
  const url = (account: RabbitMQAccount): string => `stomp://${login(account)}@127.0.0.1:${stompPort}`;
  const managementUrl = `http://127.0.0.1:${managementPort}`;
  let broker = launch();
  const whileRunning = async <T>(attempt: () => Promise<T>): Promise<T> => {
    if (!broker.running()) throw new Hopeless(`RabbitMQ has ended:\n${broker.log()}`);
    return attempt();
  };
  // It answers STOMP before it has read its definitions.
  let starts = 0;
  const hasStarted = (): Promise<boolean> =>
    whileRunning(() => Promise.resolve(broker.log(Infinity).split('Server startup complete').length > starts + 1));
  const up = async (): Promise<void> => {
    await waitUntil('RabbitMQ has started', hasStarted, SLOW);
    starts += 1;
  };
  const end = async (): Promise<void> => {
    await broker.kill();
    await names.kill();
    folder.remove();
  };
  await up().catch(async (error: unknown) => {
    await end();
    throw error;
  });
  return {
    version: /Starting RabbitMQ (\S+)/.exec(broker.log(Infinity))?.[1] ?? '',
    stompPort,
    wsPort,
    passcodes,
    get pid() {
      return broker.pid;
    },
    url,
    authority: certificates?.authority,
    tlsUrl: (scheme, account) =>
      `${scheme}://${login(account)}@127.0.0.1:${scheme === 'wss' ? `${webSocketTlsPort}/ws` : stompTlsPort}`,
    wsUrl: (account) => `ws://${login(account)}@127.0.0.1:${wsPort}/ws`,
    managementUrl,
    async ask(path, content) {
      const authorization = `Basic ${Buffer.from(decodeURIComponent(login('operator'))).toString('base64')}`;
      const change = content === undefined ? {} : { method: 'PUT', body: JSON.stringify(content) };
      const answer = await fetch(`${managementUrl}/api/${path}`, { headers: { authorization }, ...change });
      if (answer.status === 404) return undefined;
      if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
      const text = await answer.text();
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    },
    stop: () => broker.stop(),
    kill: () => broker.kill(),
    async restart() {
      await broker.stop();
      // Its name is free again when the connection of the dead one is seen to be closed.
      await waitUntil('the name of the node is free', async () => !(await names.has()), SLOW);
      broker = launch();
      await up();
    },
    freeze: () => broker.freeze(),
    thaw: () => broker.thaw(),
    close: end,
    log: (characters) => broker.log(characters),
  };
}

const SLOW = { deadlineMs: 120_000, pauseMs: 100 };

const passcode = (): string => randomBytes(12).toString('hex');

function filesOf(
  { stock, change }: RabbitMQOptions,
  settings: RabbitMQSettings,
): Readonly<Record<RabbitMQFile, string>> {
  const rendered = renderRabbitMQ(settings);
  if (stock === true) {
    return {
      'rabbitmq.conf': [
        'listeners.tcp = none',
        `stomp.listeners.tcp.1 = 127.0.0.1:${settings.stompPort}`,
        `web_stomp.tcp.port = ${settings.webSocketPort}`,
        `management.tcp.port = ${settings.managementPort}`,
        '',
      ].join('\n'),
      'definitions.json': '{}\n',
      enabled_plugins: '[rabbitmq_management,rabbitmq_stomp,rabbitmq_web_stomp].\n',
    };
  }
  return change === undefined ? rendered : change(rendered);
}

/** Under the names that the configuration has. */
function placeCertificates(folder: string): Certificates {
  mkdirSync(folder);
  const certificates = makeCertificates(folder);
  copyFileSync(certificates.certificateFile, join(folder, 'certificate.pem'));
  copyFileSync(certificates.keyFile, join(folder, 'key.pem'));
  return certificates;
}

/** Erlang's register of nodes. A server that finds none starts one that outlives it, so it gets one that does not. */
async function startNames(port: number, folder: string) {
  const epmd = startServerProcess({
    command: findProgram('epmd') ?? 'epmd',
    args: ['-port', String(port), '-address', '127.0.0.1'],
    logFile: join(folder, 'epmd.log'),
  });
  const list = async (): Promise<string> => {
    if (!epmd.running()) throw new Hopeless(`epmd has ended:\n${epmd.log()}`);
    return askNames(port);
  };
  await waitUntil('epmd answers', async () => (await list()) !== '', SLOW);
  return { kill: () => epmd.kill(), has: async () => (await list()).includes(`name ${NODE} `) };
}

const NODE = 'adit';

/** NAMES_REQ of the distribution protocol: a length of two bytes, and `n`; the answer ends with the connection. */
function askNames(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let answer = '';
    socket.once('connect', () => socket.write(Buffer.from([0, 1, 110])));
    socket.on('data', (chunk) => (answer += chunk.toString('latin1')));
    socket.once('error', reject);
    socket.once('close', () => resolve(answer));
  });
}

function environmentOf(folder: string, epmdPort: number, nodePort: number): Record<string, string> {
  return {
    // The cookie is written here.
    HOME: folder,
    ERL_EPMD_PORT: String(epmdPort),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    ERL_CRASH_DUMP_SECONDS: '0',
    RABBITMQ_NODENAME: `${NODE}@localhost`,
    RABBITMQ_DIST_PORT: String(nodePort),
    RABBITMQ_CONF_ENV_FILE: '/dev/null',
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    RABBITMQ_ADVANCED_CONFIG_FILE: join(folder, 'none.config'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    RABBITMQ_GENERATED_CONFIG_DIR: join(folder, 'generated'),
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: folder,
    RABBITMQ_LOGS: '-',
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    // Threads that wait busily for work take it away from everybody else on a small machine.
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '+sbwt none +sbwtdcpu none +sbwtdio none',
  };
}
