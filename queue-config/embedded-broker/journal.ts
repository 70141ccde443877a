/**
 * The journal: an append-only file of what happened to persistent messages. All that is waiting is written together and
 * made durable by one fdatasync, so that a hundred senders cost little more than one.
 */
import { open, rename, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from './log-event.js';
import type { StoredMessage } from './message.js';
import { encodePut, encodeRedelivery, encodeRemove, encodeStart } from './journal-record.js';
import { recoverJournal } from './journal-recovery.js';
import type { MessageLog } from './queues.js';

export interface Journal extends MessageLog {
  /**
   * Resolves when all that was written so far is on the disk. Rejects when it could not be: the broker still has it in memory,
   * and writes the whole journal anew when it is asked next.
   */
  durable(): Promise<void>;
  close(): Promise<void>;
}

export interface JournalOptions {
  folder: string;
  /** Size below which the file is never compacted. */
  compactBytes: number;
  /** All persistent messages that the broker holds now. */
  live: () => readonly StoredMessage[];
  log: Log;
}

/** A new file that holds what is alive, and is about to take the place of the old one. */
interface Compaction {
  file: FileHandle;
  size: number;
  from: number;
  began: number;
}

const SLICE = 1024 * 1024;

export async function openJournal({
  folder,
  compactBytes,
  live,
  log,
}: JournalOptions): Promise<{ journal: Journal; recovered: StoredMessage[] }> {
  const path = join(folder, 'messages.journal');
  const newPath = `${path}.new`;
  await rm(newPath, { force: true });
  const { messages: recovered, size: recoveredSize } = await recoverJournal(path, log);

  let file = await open(path, 'a');
  let size = recoveredSize;
  let liveBytes = recovered.reduce((sum, message) => sum + message.journalBytes, 0);
  // After a failed write the file ends in nobody knows what: it is written anew before anything else.
  let broken = false;
  let compactAbove = compactBytes;

  let pending: Buffer[] = [];
  let waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  let running: Promise<void> | undefined;
  // While a compaction writes what was alive at its start, what happens meanwhile is kept here for its end.
  let sinceCompactionBegan: Buffer[] | undefined;
  let compacting: Promise<void> | undefined;
  let compacted: Compaction | undefined;

  if (size === 0) {
    await append([encodeStart()]);
    await file.sync();
    await syncFolder(folder);
  }

  async function append(records: readonly Buffer[]): Promise<void> {
    size += await writeAll(file, records);
    sinceCompactionBegan?.push(...records);
  }

  function write(record: Buffer): void {
    pending.push(record);
    run();
  }

  function run(): void {
    running ??= writePending().finally(() => {
      running = undefined;
      if (pending.length > 0 || waiting.length > 0 || compacted !== undefined) run();
    });
  }

  async function writePending(): Promise<void> {
    // Once the event loop has gone round, whatever has arrived by now shares one write.
    await new Promise((resolve) => setImmediate(resolve));
    while (pending.length > 0 || waiting.length > 0 || compacted !== undefined) {
      const [records, asking] = [pending, waiting];
      [pending, waiting] = [[], []];
      try {
        if (broken && asking.length > 0) await writeAnew();
        else if (!broken) await append(records);
        if (compacted !== undefined) await replaceFile(compacted);
        else if (asking.length > 0) await file.datasync();
        for (const { resolve } of asking) resolve();
      } catch (error) {
        fail(error as Error);
        for (const { reject } of asking) reject(error as Error);
      }
      if (isCompactionDue()) compacting = compact();
    }
  }

  /** Not while one is under way or waits to take its place: what happened since it began would be forgotten. */
  function isCompactionDue(): boolean {
    if (broken || compacting !== undefined || compacted !== undefined) return false;
    return size > compactAbove && liveBytes * 2 < size;
  }

  function fail(error: Error): void {
    broken = true;
    // A compaction under way would miss what could not be written.
    sinceCompactionBegan = undefined;
    void compacted?.file.close();
    compacted = undefined;
    log({ event: 'journal-failed', error: error.message });
  }

  const compactionIsWanted = (): boolean => sinceCompactionBegan !== undefined;

  /** Writes what is alive into a new file while the old one goes on; `writePending` exchanges the two. */
  async function compact(): Promise<void> {
    const began = Date.now();
    const from = size;
    sinceCompactionBegan = [];
    try {
      const made = await writeLive();
      if (compactionIsWanted()) compacted = { ...made, from, began };
      else await made.file.close();
    } catch (error) {
      // The old file is whole: try again when it has doubled.
      compactAbove = size * 2;
      sinceCompactionBegan = undefined;
      log({ event: 'journal-failed', error: (error as Error).message });
    }
    compacting = undefined;
    run();
  }

  async function writeLive(): Promise<{ file: FileHandle; size: number }> {
    const target = await open(newPath, 'w');
    try {
      const written = await writeAll(target, liveRecords(live()));
      await target.datasync();
      return { file: target, size: written };
    } catch (error) {
      await target.close();
      throw error;
    }
  }

  async function replaceFile({ file: target, size: written, from, began }: Compaction): Promise<void> {
    compacted = undefined;
    const since = sinceCompactionBegan ?? [];
    sinceCompactionBegan = undefined;
    try {
      size = written + (await writeAll(target, since));
      await target.datasync();
      await rename(newPath, path);
      await syncFolder(folder);
    } catch (error) {
      await target.close();
      throw error;
    }
    await file.close();
    file = target;
    compactAbove = compactBytes;
    log({ event: 'journal-compacted', from, to: size, milliseconds: Date.now() - began });
  }

  async function writeAnew(): Promise<void> {
    await compacting;
    sinceCompactionBegan = [];
    const from = size;
    const began = Date.now();
    await replaceFile({ ...(await writeLive()), from, began });
    broken = false;
  }

  return {
    recovered,
    journal: {
      put(message, replaces) {
        const record = encodePut(message, replaces?.sequence);
        message.journalBytes = record.length;
        liveBytes += record.length - (replaces?.journalBytes ?? 0);
        write(record);
      },
      remove(messages) {
        for (const { journalBytes } of messages) liveBytes -= journalBytes;
        write(encodeRemove(messages.map(({ sequence }) => sequence)));
      },
      noteRedelivery(message) {
        write(encodeRedelivery(message));
      },
      durable: () =>
        new Promise((resolve, reject) => {
          waiting.push({ resolve, reject });
          run();
        }),
      async close() {
        // A failure was logged, and told to everyone who waited for the disk.
        await new Promise<void>((resolve) => {
          waiting.push({ resolve, reject: () => resolve() });
          run();
        });
        await compacting;
        while (running !== undefined) await running;
        await file.close();
      },
    },
  };
}

function* liveRecords(messages: readonly StoredMessage[]): Generator<Buffer> {
  yield encodeStart();
  for (const message of messages) yield encodePut(message);
}

/** Writes records in slices of about a megabyte, and returns how many bytes they were. */
async function writeAll(file: FileHandle, records: Iterable<Buffer>): Promise<number> {
  let total = 0;
  let slice: Buffer[] = [];
  let sliceBytes = 0;
  const flush = async (): Promise<void> => {
    await file.writeFile(slice.length === 1 ? (slice[0] as Buffer) : Buffer.concat(slice));
    slice = [];
    sliceBytes = 0;
  };
  for (const record of records) {
    slice.push(record);
    sliceBytes += record.length;
    total += record.length;
    if (sliceBytes >= SLICE) await flush();
  }
  if (slice.length > 0) await flush();
  return total;
}

/** "Calling fsync() does not necessarily ensure that the entry in the directory … has also reached disk" (fsync(2)). */
async function syncFolder(folder: string): Promise<void> {
  // Windows opens no directories.
  if (process.platform === 'win32') return;
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
