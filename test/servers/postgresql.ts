/** A real PostgreSQL: a fresh cluster on a free port. */
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { freePort } from './free-ports.js';
import { makeRunFolder } from './run-folder.js';
import { startServerProcess, type ServerProcess } from './server-process.js';
import { Hopeless, waitUntil } from './wait-until.js';

export interface PostgreSQLInstallation {
  /** Folder of `initdb` and `postgres`. */
  binaries: string;
  /** E.g. 15. */
  version: number;
}

export interface PostgreSQLOptions {
  /** Lines for postgresql.conf; the stock settings stand otherwise, `fsync = on` among them. */
  settings?: Record<string, string>;
}

export interface PostgreSQL {
  readonly version: number;
  readonly port: number;
  /** Folder of the Unix socket. */
  readonly socketFolder: string;
  readonly user: string;
  readonly password: string;
  readonly pid: number;
  /** `postgres://user:password@127.0.0.1:port/database`; `postgres` by default. */
  url(database?: string): string;
  /** The same over the Unix socket. */
  socketUrl(database?: string): string;
  /** Makes an empty database under a name of its own; answers its TCP URL. */
  createDatabase(): Promise<string>;
  /** Shuts down cleanly ("fast": running transactions are rolled back); data and port are kept for `restart`. */
  stop(): Promise<void>;
  /** `kill -9` of the postmaster; its children end themselves. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** Ends the server for good and deletes its data. */
  close(): Promise<void>;
  log(characters?: number): string;
}

const DEBIAN_ROOT = '/usr/lib/postgresql';
const USER = 'adit';

/** The newest PostgreSQL of Debian's packages. */
export function findPostgreSQL(): PostgreSQLInstallation | undefined {
  if (!existsSync(DEBIAN_ROOT)) return undefined;
  return readdirSync(DEBIAN_ROOT)
    .map((version) => ({ version: Number(version), binaries: join(DEBIAN_ROOT, version, 'bin') }))
    .filter(({ binaries }) => existsSync(join(binaries, 'postgres')) && existsSync(join(binaries, 'initdb')))
    .sort((a, b) => b.version - a.version)[0];
}

/** Makes a cluster and starts it; resolves when it accepts connections. */
export async function startPostgreSQL({ settings = {} }: PostgreSQLOptions = {}): Promise<PostgreSQL> {
  const installation = findPostgreSQL();
  if (installation === undefined) throw new Error('PostgreSQL is not installed: test/servers/install.sh postgresql');
  const folder = makeRunFolder('postgresql');
  const port = await freePort();
  const password = randomBytes(12).toString('hex');
  const owner = serverUser();
  const data = join(folder.path, 'data');
  const logFile = join(folder.path, 'postgresql.log');
  mkdirSync(data, { mode: 0o700 });
  const passwordFile = join(folder.path, 'password');
  writeFileSync(passwordFile, password);
  if (owner !== undefined) {
    for (const path of [folder.path, data, passwordFile]) chownSync(path, owner.uid, owner.gid);
  }
  chmodSync(folder.path, 0o755);
  await initialise(installation, { data, passwordFile, user: owner?.name });
  const launch = (): ServerProcess =>
    startServerProcess({
      command: join(installation.binaries, 'postgres'),
      args: ['-D', data, ...serverSettings({ port, socketFolder: folder.path, settings })],
      logFile,
      // "fast" shutdown: does not wait for clients.
      stopSignal: 'SIGINT',
      ...(owner === undefined ? {} : { user: owner.name }),
    });
  const url: PostgreSQL['url'] = (database = 'postgres') =>
    `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`;
  let server = launch();
  const up = (): Promise<boolean> =>
    waitUntil('PostgreSQL accepts connections', () => {
      if (!server.running()) throw new Hopeless(`PostgreSQL has ended:\n${server.log()}`);
      return query(url(), 'SELECT 1');
    });
  const close = async (): Promise<void> => {
    await server.stop();
    folder.remove();
  };
  await up().catch(async (error: unknown) => {
    await close();
    throw error;
  });
  let databases = 0;
  return {
    version: installation.version,
    port,
    socketFolder: folder.path,
    user: USER,
    password,
    get pid() {
      return server.pid;
    },
    url,
    socketUrl: (database = 'postgres') =>
      `postgres://${USER}:${password}@/${database}?host=${encodeURIComponent(folder.path)}&port=${port}`,
    async createDatabase() {
      const name = `adit_${process.pid}_${++databases}`;
      await query(url(), `CREATE DATABASE ${name}`);
      return url(name);
    },
    stop: () => server.stop(),
    kill: () => server.kill(),
    async restart() {
      await server.stop();
      server = launch();
      await up();
    },
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    close,
    log: (characters) => server.log(characters),
  };
}

/** Root may run neither `initdb` nor `postgres`: the packages' own user does. Undefined where this process is not root. */
function serverUser(): { name: string; uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === 'postgres') return { name, uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('there is no user postgres to run PostgreSQL as');
}

async function initialise(
  { binaries }: PostgreSQLInstallation,
  { data, passwordFile, user }: { data: string; passwordFile: string; user: string | undefined },
): Promise<void> {
  const identity = user === undefined ? [] : [`--reuid=${user}`, `--regid=${user}`, '--clear-groups'];
  await promisify(execFile)(
    'setpriv',
    [
      ...['--pdeathsig', 'KILL', ...identity, '--', join(binaries, 'initdb'), '-D', data],
      // The template need not survive a power cut (--no-sync); what is written later does.
      ...['--username', USER, '--pwfile', passwordFile, '--auth', 'scram-sha-256', '--encoding', 'UTF8'],
      ...['--locale', 'C.UTF-8', '--no-sync', '--no-instructions'],
    ],
    { cwd: data },
  );
}

function serverSettings({
  port,
  socketFolder,
  settings,
}: {
  port: number;
  socketFolder: string;
  settings: Record<string, string>;
}): string[] {
  const all = {
    port: String(port),
    listen_addresses: '127.0.0.1',
    unix_socket_directories: socketFolder,
    shared_buffers: '32MB',
    max_connections: '100',
    dynamic_shared_memory_type: 'mmap',
    ...settings,
  };
  return Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
}

async function query(connectionString: string, sql: string): Promise<true> {
  const client = new Client({ connectionString, connectionTimeoutMillis: 5_000 });
  try {
    await client.connect();
    await client.query(sql);
    return true;
  } finally {
    await client.end();
  }
}
