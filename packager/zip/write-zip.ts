/**
 * Writes a zip as it is read: entries come in order, of each everything is known before its first byte, and most of them
 * are copied only. Nothing here waits for a consumer by itself or goes on without one.
 */
import { createHash } from 'node:crypto';
import { createDirectoryLog, type DirectoryLog } from './directory-log.js';
import { dosTime } from './dos-time.js';
import type { ArchiveEntry } from './entry.js';
import { createGatherer, type Gatherer } from './gatherer.js';
import { readyEntries, type ReadyEntry } from './ready-entries.js';
import {
  endRecords,
  localHeaderLength,
  LOCAL_NAME,
  LONGEST_NAME,
  longestHeader,
  writeCentralHeader,
  writeLocalHeader,
  type DirectoryPlace,
  type DosTime,
} from './records.js';

/** What a reader of the finished zip has to find again. */
export interface ZipContents extends DirectoryPlace {
  /** SHA-256 of the directory's bytes. */
  directorySha256: string;
}

export interface ZipOptions {
  /** Of all entries; see `entryDate`. */
  date: Date;
  /**
   * Memory for the next piece, of whatever length, which is the reader's once it is handed over: each piece fills it, and only the
   * last may be shorter. Without it, pieces are of any length, and long data pass through uncopied.
   */
  nextMemory?: () => Buffer;
  /** Called after the last byte was taken. */
  onFinished?: (contents: ZipContents) => void;
}

/**
 * The zip's bytes. Each is copied once at most.
 * @param entries in batches
 * @throws {RangeError} for a name that a zip cannot hold, or data that is not as long as it should be
 */
export async function* writeZip(
  entries: AsyncIterable<readonly ArchiveEntry[]>,
  { date, nextMemory, onFinished }: ZipOptions,
): AsyncGenerator<Buffer> {
  const time = dosTime(date);
  const log = createDirectoryLog();
  const gather = createGatherer(nextMemory);
  for await (const batch of readyEntries(entries)) {
    for (const entry of batch) {
      const nameBytes = Buffer.byteLength(entry.name);
      if (nameBytes > LONGEST_NAME) throw new RangeError(`a name of ${nameBytes} bytes is too long for a zip`);
      const { out, at } = gather.roomFor(longestHeader(nameBytes));
      out.write(entry.name, at + LOCAL_NAME);
      const end = writeLocalHeader(out, at, nameBytes, entry, time);
      const packing = log.add(out, at + LOCAL_NAME, nameBytes, entry);
      if (!gather.addWritten(end - at)) yield* gather.addLong(out.subarray(at, end));
      if (packing !== undefined) await packing;
      if (Buffer.isBuffer(entry.data)) {
        // The usual case: a document, whole. It is worth no turn through a loop of its own.
        if (!gather.add(entry.data)) yield* gather.addLong(entry.data);
        checkLength(entry, entry.data.length);
        continue;
      }
      let length = 0;
      for await (const piece of entry.data) {
        length += piece.length;
        if (!gather.add(piece)) yield* gather.addLong(piece);
      }
      checkLength(entry, length);
    }
  }
  const contents = yield* writeDirectory(gather, log, time);
  const end = endRecords(contents);
  if (!gather.add(end)) yield* gather.addLong(end);
  yield gather.rest();
  onFinished?.(contents);
}

async function* writeDirectory(
  gather: Gatherer,
  log: DirectoryLog,
  time: DosTime,
): AsyncGenerator<Buffer, ZipContents> {
  const offset = gather.total();
  const hash = createHash('sha256');
  /** Bytes of the memory at hand that belong to the entries, or are hashed. */
  let hashed = gather.rest().length;
  let entries = 0;
  let entryOffset = 0;
  for await (const { name, facts } of log.read()) {
    const { out, at } = gather.roomFor(longestHeader(name.length));
    const header = out.subarray(at, writeCentralHeader(out, at, name, facts, entryOffset, time));
    if (!gather.addWritten(header.length)) {
      // The memory is about to change hands.
      hash.update(gather.rest().subarray(hashed)).update(header);
      yield* gather.addLong(header);
      hashed = gather.rest().length;
    }
    entryOffset += localHeaderLength(name.length, facts) + facts.stored;
    entries += 1;
  }
  hash.update(gather.rest().subarray(hashed));
  return { entries, offset, length: gather.total() - offset, directorySha256: hash.digest('hex') };
}

function checkLength({ name, stored }: ReadyEntry, length: number): void {
  if (length !== stored)
    throw new RangeError(`${name} has ${length} bytes to store, not the ${stored} that were announced`);
}
