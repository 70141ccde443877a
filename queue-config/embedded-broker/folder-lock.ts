/** Keeps two brokers from writing one journal. */
import { randomUUID } from 'node:crypto';
import { constants, copyFile, link, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from './log-event.js';

/** Who holds a folder. A process id alone comes round again, in containers at once: its start time tells them apart. */
interface Holder {
  pid: number;
  started: string | undefined;
  token: string;
}

/** The folders that this process holds: its own id in a lock file of another folder's past means nothing. */
const heldHere = new Set<string>();

/**
 * @returns the release
 * @throws {Error} when a living process holds the folder
 */
export async function lockFolder(folder: string, log: Log): Promise<() => Promise<void>> {
  const real = await realpath(folder);
  const path = join(real, 'broker.lock');
  if (heldHere.has(real)) throw heldBy(real, process.pid);
  heldHere.add(real);
  const mine: Holder = { pid: process.pid, started: await startTimeOf(process.pid), token: randomUUID() };
  try {
    while (!(await create(path, mine))) await takeOver(path, real, log);
  } catch (error) {
    heldHere.delete(real);
    throw error;
  }
  return async () => {
    if ((await read(path))?.token === mine.token) await rm(path, { force: true });
    heldHere.delete(real);
  };
}

/** Written aside and linked, so that nobody ever reads half a lock. */
async function create(path: string, holder: Holder): Promise<boolean> {
  const aside = `${path}.${holder.token}`;
  await writeFile(aside, JSON.stringify(holder));
  try {
    await place(aside, path);
    return true;
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(aside, { force: true });
  }
}

/** Puts a whole file under a name that must be free. */
async function place(aside: string, path: string): Promise<void> {
  try {
    await link(aside, path);
  } catch (error) {
    if (isCode(error, 'EEXIST')) throw error;
    // Some mounted file systems have no links.
    await copyFile(aside, path, constants.COPYFILE_EXCL);
  }
}

/** Moves the lock of a dead process out of the way; whoever moves it first has it. */
async function takeOver(path: string, folder: string, log: Log): Promise<void> {
  const holder = await read(path);
  if (holder !== undefined && (await isAlive(holder))) throw heldBy(folder, holder.pid);
  const aside = `${path}.stale.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (isCode(error, 'ENOENT')) return;
    throw error;
  }
  const moved = await read(aside);
  if (moved?.token !== holder?.token) {
    // Another one was quicker, and what was moved is its lock: give it back.
    await place(aside, path).catch(() => undefined);
  } else if (holder !== undefined) {
    log({ event: 'lock-taken-over', folder, pid: holder.pid });
  }
  await rm(aside, { force: true });
}

async function read(path: string): Promise<Holder | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Holder;
  } catch {
    // Missing, or not written by us: nobody holds it.
    return undefined;
  }
}

async function isAlive({ pid, started }: Holder): Promise<boolean> {
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to somebody else.
    if (isCode(error, 'ESRCH')) return false;
  }
  const now = await startTimeOf(pid);
  return started === undefined || now === undefined || now === started;
}

/** Boot and tick at which a process was started, where the system tells (Linux). */
async function startTimeOf(pid: number): Promise<string | undefined> {
  try {
    const [stat, boot] = await Promise.all([
      readFile(`/proc/${pid}/stat`, 'utf8'),
      readFile('/proc/sys/kernel/random/boot_id', 'utf8'),
    ]);
    // The second field is the command in parentheses and may hold anything; the start time is the 20th after it.
    const tick = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return tick === undefined ? undefined : `${boot.trim()}/${tick}`;
  } catch {
    return undefined;
  }
}

function isCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

function heldBy(folder: string, pid: number): Error {
  return new Error(`the folder ${folder} is in use by another broker (process ${pid})`);
}
