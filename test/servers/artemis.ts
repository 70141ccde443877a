/** A real ActiveMQ Artemis on free ports, with the configuration that operators run. */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  DEFAULT_ARTEMIS_SETTINGS,
  renderArtemisFiles,
  type ArtemisSettings,
} from '../../queue-config/artemis/render-artemis.js';
import type { Account } from '../../queue-config/operations/accounts.js';
import { cacheFolder } from './cache-folder.js';
import { makeCertificates } from './certificates.js';
import { freePorts } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { findProgram, startServerProcess, type ServerProcess } from './server-process.js';
import { connectStomp } from './stomp-peer.js';
import { Hopeless, waitUntil } from './wait-until.js';

export interface ArtemisInstallation {
  readonly java: string;
  readonly classpath: string;
}

export interface ArtemisOptions {
  /** Other than what operators run. */
  settings?: Partial<ArtemisSettings>;
  /** Other files than Adit's, with the same placeholders. */
  files?: Readonly<Record<string, string>>;
  /** Largest heap, in MiB. */
  heapMiB?: number;
  /** The broker with which it shares its data and passcodes, if its settings say that they are a pair. */
  beside?: Artemis;
}

export interface Artemis {
  readonly version: string;
  /** STOMP over TCP and over WebSocket. */
  readonly port: number;
  /** The same with TLS. */
  readonly tlsPort: number;
  /** PEM; what its certificate is to be trusted by. */
  readonly authority: string;
  readonly authorityFile: string;
  readonly passcodes: Readonly<Record<Account, string>>;
  readonly dataFolder: string;
  readonly pid: number;
  url(transport: 'stomp' | 'ws' | 'stomp+ssl' | 'wss', account: Account): string;
  /** Shuts down cleanly; data and ports are kept for `restart`. */
  stop(): Promise<void>;
  /** `kill -9`; likewise. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Ends the broker for good and deletes its data. */
  close(): Promise<void>;
  log(characters?: number): string;
}

/** What a broker logs that waits for the other one of a pair. */
const STANDS_BY = /AMQ221034|AMQ221109/;

const POM = new URL('./artemis/pom.xml', import.meta.url);

/** The Artemis that is installed, at the release that `artemis/pom.xml` pins. */
export function findArtemis(): ArtemisInstallation | undefined {
  const java = findProgram('java');
  const version = /<artemis\.version>([^<]+)</.exec(readFileSync(POM, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${fileURLToPath(POM)} names no artemis.version`);
  const libraries = join(cacheFolder(), `artemis-${version}`);
  return java === undefined || !existsSync(libraries) ? undefined : { java, classpath: `${libraries}/*` };
}

/** Starts a broker; resolves when it accepts connections. */
export async function startArtemis(options: ArtemisOptions = {}): Promise<Artemis> {
  const installation = findArtemis();
  if (installation === undefined) throw new Error('Artemis is not installed: test/servers/install.sh artemis');
  const folder = makeRunFolder('artemis');
  const { heapMiB = 384 } = options;
  const [port = 0, tlsPort = 0] = await freePorts(2);
  const certificates = makeCertificates(folder.path);
  const passcode = (): string => randomBytes(12).toString('hex');
  const passcodes = options.beside?.passcodes ?? {
    'api-server': passcode(),
    packager: passcode(),
    operator: passcode(),
  };
  const data = options.beside?.dataFolder ?? join(folder.path, 'data');
  const settings = { ...DEFAULT_ARTEMIS_SETTINGS, tls: true, ...options.settings };
  const etc = join(folder.path, 'etc');
  // The broker looks for their files beside login.config; of an embedded one, any *.properties in etc are its own.
  const accounts = join(folder.path, 'accounts');
  for (const each of [etc, accounts]) mkdirSync(each);
  const files = { ...renderArtemisFiles(settings, passcodes), ...options.files };
  for (const [name, text] of Object.entries(files))
    writeFileSync(join(name === 'broker.xml' ? etc : accounts, name), text);
  const logFile = join(folder.path, 'artemis.log');
  const launch = (): ServerProcess =>
    startServerProcess({
      command: installation.java,
      args: [
        // Growing step by step, a large one would be searched whole at each: for seconds.
        `-Xms${heapMiB > 1024 ? heapMiB : 64}m`,
        `-Xmx${heapMiB}m`,
        '-XX:+UseSerialGC',
        '-XX:TieredStopAtLevel=1',
        '-XX:+ExitOnOutOfMemoryError',
        // One line for each operation, otherwise.
        '-Dorg.slf4j.simpleLogger.log.org.apache.activemq.audit=off',
        `-Djava.security.auth.login.config=${join(accounts, 'login.config')}`,
        `-Ddata.dir=${data}`,
        '-cp',
        installation.classpath,
        'org.apache.activemq.artemis.core.server.embedded.Main',
        folder.path,
      ],
      logFile,
      cwd: folder.path,
      env: {
        BROKER_HOST: '127.0.0.1',
        BROKER_STOMP_PORT: String(port),
        BROKER_TLS_HOST: '127.0.0.1',
        BROKER_TLS_PORT: String(tlsPort),
        BROKER_KEYSTORE: certificates.keyStoreFile,
        BROKER_KEYSTORE_PASSWORD: certificates.keyStorePassword,
      },
    });
  const url: Artemis['url'] = (transport, account) => {
    const isTls = transport === 'stomp+ssl' || transport === 'wss';
    return `${transport}://${account}:${passcodes[account]}@127.0.0.1:${isTls ? tlsPort : port}`;
  };
  let broker = launch();
  let logged = 0;
  const answers = async (): Promise<string> => {
    if (!broker.running()) throw new Hopeless(`Artemis has ended:\n${broker.log()}`);
    if (settings.pair !== undefined && STANDS_BY.test(broker.log(Infinity).slice(logged))) return '';
    const peer = await connectStomp(url('stomp', 'operator'));
    await peer.disconnect();
    return peer.connected.headers['server'] ?? '';
  };
  const up = (): Promise<string> => waitUntil('Artemis answers STOMP', answers, { deadlineMs: 60_000 });
  const server = await up().catch(async (error: unknown) => {
    await broker.kill();
    folder.remove();
    throw error;
  });
  return {
    version: /Artemis\/(\S+)/.exec(server)?.[1] ?? server,
    port,
    tlsPort,
    authority: certificates.authority,
    authorityFile: certificates.authorityFile,
    passcodes,
    dataFolder: data,
    get pid() {
      return broker.pid;
    },
    url,
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
