/** The embedded PostgreSQL: PGlite in a worker thread, reached over a Unix socket like any server. */
import { once } from 'node:events';
import { link, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { pid } from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { within } from '../within.js';

export interface EmbeddedDatabase {
  /** Folder of the socket, which PostgreSQL clients take as `host`. */
  host: string;
  /** True where another process had the files open, of which this one was the guest, and has ended. */
  isGone: () => boolean;
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
/** Another process that removes a lock, which is the work of a moment, is asked after so often. Milliseconds. */
const REMOVE_PAUSE = 20;
const REMOVE_PATIENCE = 10_000;

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
  const end = async () => {
    await worker.terminate();
    await rm(folder, { recursive: true, force: true });
  };
  try {
    // The socket answers before the lock names it, so that a lock whose socket does not answer is surely a dead one.
    await answer(worker, 'listening');
    if (!(await takeLock(lockFile, { pid, socket }))) {
      await end();
      return await openEmbedded(dataDir);
    }
    await ask(worker, 'open', 'open');
  } catch (error) {
    await end();
    await removeLock(lockFile, socket);
    throw error;
  }
  return {
    host: folder,
    isGone: () => false,
    close: async () => {
      await within(CLOSE_GRACE, ask(worker, 'close', 'closed')).finally(end);
      await removeLock(lockFile, socket);
    },
  };
}

async function connectAsGuest(lockFile: string): Promise<EmbeddedDatabase | undefined> {
  const lock = await readLock(lockFile);
  if (lock === undefined) return undefined;
  const leash = await reach(lock.socket);
  if (leash === undefined) {
    await removeStale(lockFile, lock);
    return undefined;
  }
  // Nothing is said on it: it ends when the host does.
  leash.on('error', () => leash.destroy());
  return {
    host: dirname(lock.socket),
    isGone: () => leash.closed,
    close: () => Promise.resolve(void leash.destroy()),
  };
}

/** The holder was killed. */
async function removeStale(lockFile: string, { socket }: Lock): Promise<void> {
  await removeLock(lockFile, socket);
  const folder = dirname(socket);
  if (basename(folder).startsWith(FOLDER_PREFIX)) await rm(folder, { recursive: true, force: true });
}

/**
 * Removes the lock that names this socket, and never the one that another process holds by now: only the one that gives it
 * a second name, which is there once, may take the first.
 */
async function removeLock(lockFile: string, socket: string, patience = REMOVE_PATIENCE): Promise<void> {
  const second = `${lockFile}.${basename(dirname(socket))}.gone`;
  try {
    await link(lockFile, second);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    if (!isCode(error, 'EEXIST')) throw error;
    if (patience <= 0) {
      throw new Error(`${second} is left over; if no api-server is running here, delete it`, { cause: error });
    }
    await sleep(REMOVE_PAUSE);
    return removeLock(lockFile, socket, patience - REMOVE_PAUSE);
  }
  const lock = await readLock(second);
  if (lock?.socket === socket) await rm(lockFile, { force: true });
  await rm(second, { force: true });
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

async function readLock(file: string): Promise<Lock | undefined> {
  try {
    return lockContent.parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined;
    throw new Error(`${file} cannot be read; if no api-server is running here, delete it`, { cause: error });
  }
}

/** A connection to the socket; undefined where nobody listens. */
async function reach(socketPath: string): Promise<Socket | undefined> {
  const socket = connect(socketPath);
  try {
    await once(socket, 'connect');
    return socket.resume();
  } catch (error) {
    if (isCode(error, 'ECONNREFUSED') || isCode(error, 'ENOENT')) return undefined;
    throw error;
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
