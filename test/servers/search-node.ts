/** A real search engine of OpenSearch's or Elasticsearch's make: one node, from its modules, on a free port. */
import { chownSync, cpSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder } from './cache-folder.js';
import { freePort } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { findProgram, startServerProcess } from './server-process.js';
import { Hopeless, waitUntil } from './wait-until.js';

export interface SearchNode {
  /** `http://127.0.0.1:port`. */
  readonly url: string;
  freeze(): void;
  thaw(): void;
  /** Ends the server for good and deletes its data. */
  close(): Promise<void>;
}

/** In what the two differ, which were one once. */
export interface SearchMake {
  /** As in names of files and of settings. */
  readonly name: 'opensearch' | 'elasticsearch';
  readonly title: string;
  /** How properties of the system begin. */
  readonly prefix: string;
  /** Of Java. */
  readonly package: string;
  readonly main: string;
}

/** Folder of the modules that `install.sh` brought, where it and Java are there. */
export function findSearchMake({ name }: SearchMake): string | undefined {
  if (!existsSync(cacheFolder()) || findProgram('java') === undefined) return undefined;
  const installed = readdirSync(cacheFolder()).find((entry) => new RegExp(`^${name}-\\d`).test(entry));
  return installed === undefined ? undefined : join(cacheFolder(), installed);
}

/** Resolves when it answers. */
export async function startSearchNode(make: SearchMake): Promise<SearchNode> {
  const installed = findSearchMake(make);
  if (installed === undefined) throw new Error(`${make.title} is not installed: test/servers/install.sh ${make.name}`);
  const folder = makeRunFolder(make.name);
  const [port, transport] = [await freePort(), await freePort()];
  const user = layOut(make, installed, folder.path, { port, transport });
  const temporary = join(folder.path, 'tmp');
  const server = startServerProcess({
    command: findProgram('java') ?? 'java',
    args: [
      ...['-Xms512m', '-Xmx512m', '-XX:TieredStopAtLevel=1', '-Dlog4j2.disable.jmx=true'],
      // They set a security manager while they start, which Java 18 and later refuse otherwise.
      '-Djava.security.manager=allow',
      ...[`-D${make.prefix}.path.home=${folder.path}`, `-D${make.prefix}.path.conf=${join(folder.path, 'config')}`],
      ...[`-Djava.io.tmpdir=${temporary}`, '-cp', join(folder.path, 'lib', '*'), `${make.package}.${make.main}`],
    ],
    logFile: join(folder.path, `${make.name}.log`),
    cwd: folder.path,
    env: { LIBFFI_TMPDIR: temporary },
    ...(user !== undefined && { user }),
  });
  const url = `http://127.0.0.1:${port}`;
  const close = async (): Promise<void> => {
    await server.stop();
    folder.remove();
  };
  const up = waitUntil(
    `${make.title} answers`,
    async () => {
      if (!server.running()) throw new Hopeless(`${make.title} has ended:\n${server.log()}`);
      const health = await fetch(`${url}/_cluster/health?wait_for_status=yellow`).catch(() => undefined);
      return health?.ok === true ? true : undefined;
    },
    { deadlineMs: 120_000 },
  );
  await up.catch(async (error: unknown) => {
    await close();
    throw error;
  });
  return { url, freeze: () => server.freeze(), thaw: () => server.thaw(), close };
}

/** What is a module of the server, and has a class loader of its own; everything else is on the class path. */
const MODULES = {
  'transport-netty4': { jars: /netty/, main: 'transport.Netty4Plugin' },
  'analysis-common': { jars: /^analysis-common/, main: 'analysis.common.CommonAnalysisPlugin' },
};

const SETTINGS = {
  'discovery.type': 'single-node',
  'network.host': '127.0.0.1',
  'cluster.routing.allocation.disk.threshold_enabled': 'false',
  'indices.query.bool.max_clause_count': '16384',
};

const PERMISSIONS = [
  ...['accessClassInPackage.sun.nio.ch', 'accessDeclaredMembers', 'getClassLoader', 'setContextClassLoader'].map(
    (name) => `permission java.lang.RuntimePermission "${name}";`,
  ),
  'permission java.net.SocketPermission "*", "accept,connect,resolve";',
  'permission java.io.FilePermission "/proc/sys/net/core/somaxconn", "read";',
];

const LOGGING = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`;

/** @returns the user that it has to run as: it refuses to be root */
function layOut(
  make: SearchMake,
  installed: string,
  home: string,
  { port, transport }: { port: number; transport: number },
): string | undefined {
  for (const name of ['config', 'lib', 'logs', 'data', 'plugins', 'tmp']) mkdirSync(join(home, name));
  const version = /-(\d[\d.]*)$/.exec(installed)?.[1] ?? '';
  const jars = readdirSync(installed);
  for (const [name, { jars: pattern, main }] of Object.entries(MODULES)) {
    const folder = join(home, 'modules', name);
    mkdirSync(folder, { recursive: true });
    for (const jar of jars.filter((each) => pattern.test(each))) cpSync(join(installed, jar), join(folder, jar));
    const properties = { name, description: name, version, [`${make.name}.version`]: version, 'java.version': 11 };
    const lines = Object.entries({ ...properties, classname: `${make.package}.${main}` }).map(
      ([key, value]) => `${key}=${value}\n`,
    );
    writeFileSync(join(folder, 'plugin-descriptor.properties'), lines.join(''));
  }
  const policy = join(home, 'modules', 'transport-netty4', 'plugin-security.policy');
  writeFileSync(policy, `grant {\n${PERMISSIONS.join('\n')}\n};\n`);
  const isModule = (jar: string): boolean => Object.values(MODULES).some(({ jars: pattern }) => pattern.test(jar));
  for (const jar of jars.filter((each) => !isModule(each))) cpSync(join(installed, jar), join(home, 'lib', jar));
  const settings = { ...SETTINGS, 'http.port': port, 'transport.port': transport };
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`);
  writeFileSync(join(home, 'config', `${make.name}.yml`), lines.join(''));
  writeFileSync(join(home, 'config', 'log4j2.properties'), LOGGING);
  if (process.getuid?.() !== 0) return undefined;
  const [name = '', , uid, gid] = daemon();
  for (const entry of ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })]) {
    chownSync(join(home, entry), Number(uid), Number(gid));
  }
  return name;
}

/** Has a group of its own name everywhere. */
const daemon = (): string[] =>
  readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'))
    .find(([name]) => name === 'daemon') ?? [];
