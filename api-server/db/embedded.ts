/** The embedded PostgreSQL: PGlite in a worker thread, reached over a Unix socket like any server. */
import { once } from 'node:events';
import { link, mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pid } from 'node:process';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { within } from '../within.js';

export interface EmbeddedDatabase {
  /** Folder of the socket, which PostgreSQL clients take as `host`. */
  host: string;
  /** False where another process has the files open and this one is its guest. */
  owner: boolean;
  close(): Promise<void>;
}

const lockContent = z.object({ pid: z.number(), socket: z.string() });
type Lock = z.infer<typeof lockContent>;

const FOLDER_PREFIX = 'adit-db-';
/** The name that PostgreSQL clients look for in `host` with the default port. */
const SOCKET_NAME = '.s.PGSQL.5432';
/** macOS has the shortest limit for the path of a Unix socket: 104 bytes with the NUL at its end. */
const LONGEST_SOCKET_PATH = 103;
/** A statement that runs on ends with its thread then, as a killed process's does. Milliseconds. */
const CLOSE_GRACE = 2_000;

/**
 * Opens the database in `dataDir`, or connects to the process that has it open: PGlite itself would let two processes
 * ruin the files.
 */
export async function openEmbedded(dataDir: string): Promise<EmbeddedDatabase> {
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const lockFile = join(dataDir, 'database.lock');
  const guest = await connectAsGuest(lockFile);
  if (guest !== undefined) return guest;

  const folder = await makeSocketFolder();
  const socket = join(folder, SOCKET_NAME);
  const worker = new Worker(new URL('./embedded-worker.mjs', import.meta.url), {
    workerData: { dataDir: join(dataDir, 'database'), socketPath: socket },
  });
  const close = async () => {
    await within(CLOSE_GRACE, ask(worker, 'close', 'closed')).finally(() => worker.terminate());
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // The socket answers before the lock names it, so that a lock whose socket does not answer is surely a dead one.
    await answer(worker, 'listening');
    if (!(await takeLock(lockFile, { pid, socket }))) {
      await close();
      return await openEmbedded(dataDir);
    }
    await ask(worker, 'open', 'open');
  } catch (error) {
    await worker.terminate();
    await rm(folder, { recursive: true, force: true });
    await releaseLock(lockFile, socket);
    throw error;
  }
  return {
    host: folder,
    owner: true,
    close: async () => {
      await close();
      await releaseLock(lockFile, socket);
    },
  };
}

async function connectAsGuest(lockFile: string): Promise<EmbeddedDatabase | undefined> {
  const lock = await readLock(lockFile);
  if (lock === undefined) return undefined;
  if (await answers(lock.socket)) {
    return { host: dirname(lock.socket), owner: false, close: () => Promise.resolve() };
  }
  await removeStale(lockFile, lock);
  return undefined;
}

/** The holder was killed. Another process may have seen that too and hold a new lock by now: that one is put back. */
async function removeStale(lockFile: string, stale: Lock): Promise<void> {
  const aside = `${lockFile}.${basename(dirname(stale.socket))}`;
  try {
    await rename(lockFile, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const moved = await readLock(aside);
  if (moved !== undefined && moved.socket !== stale.socket) await link(aside, lockFile);
  await rm(aside, { force: true });
  const folder = dirname(stale.socket);
  if (basename(folder).startsWith(FOLDER_PREFIX)) await rm(folder, { recursive: true, force: true });
}

/** @returns false where somebody else has taken it. A link appears whole, and fails where there is one already. */
async function takeLock(lockFile: string, lock: Lock): Promise<boolean> {
  const draft = `${lockFile}.${basename(dirname(lock.socket))}`;
  await writeFile(draft, JSON.stringify(lock), { mode: 0o600 });
  try {
    await link(draft, lockFile);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function releaseLock(lockFile: string, socket: string): Promise<void> {
  const lock = await readLock(lockFile);
  if (lock?.socket === socket) await rm(lockFile, { force: true });
}

async function readLock(file: string): Promise<Lock | undefined> {
  try {
    return lockContent.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new Error(`${file} cannot be read; if no api-server is running here, delete it`, { cause: error });
  }
}

async function answers(socketPath: string): Promise<boolean> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return true;
  } catch (error) {
    if (isCode(error, 'ECONNREFUSED') || isCode(error, 'ENOENT')) return false;
    throw error;
  } finally {
    socket.destroy();
  }
}

async function makeSocketFolder(): Promise<string> {
  const longest = join(tmpdir(), `${FOLDER_PREFIX}XXXXXX`, SOCKET_NAME);
  const base = Buffer.byteLength(longest) <= LONGEST_SOCKET_PATH ? tmpdir() : '/tmp';
  // mkdtemp makes it 0700: the socket asks for no password.
  return mkdtemp(join(base, FOLDER_PREFIX));
}

async function ask(worker: Worker, command: 'open' | 'close', reply: string): Promise<void> {
  const replied = answer(worker, reply);
  worker.postMessage(command);
  await replied;
}

/** Rejects with the worker's error where it fails instead. */
async function answer(worker: Worker, expected: string): Promise<void> {
  const [message] = (await once(worker, 'message')) as [unknown];
  if (message !== expected) throw new Error(`embedded database: ${String(message)} instead of ${expected}`);
}

function isCode(error: unknown, code: string): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === code;
}
