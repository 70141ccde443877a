/**
 * Writes a zip as it is read: entries come in order, of each everything is known before its first byte, and most of them
 * are copied only. Nothing here waits for a consumer by itself or goes on without one.
 */
import { createHash } from 'node:crypto';
import { createDirectoryLog, type DirectoryLog } from './directory-log.js';
import { dosTime } from './dos-time.js';
import type { ArchiveEntry } from './entry.js';
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
  /** True where whoever reads is done with a piece when it asks for the next one: its memory is used again then. */
  isReused?: boolean;
  /** Called after the last byte was taken. */
  onFinished?: (contents: ZipContents) => void;
}

/** Small things are gathered into Buffers of this size, what is larger passes through as it came. */
const GATHERED = 512 * 1024;

/**
 * The zip's bytes.
 * @param entries in batches
 * @throws {RangeError} for a name that a zip cannot hold, or data that is not as long as it should be
 */
export async function* writeZip(
  entries: AsyncIterable<readonly ArchiveEntry[]>,
  { date, isReused = false, onFinished }: ZipOptions,
): AsyncGenerator<Buffer> {
  const time = dosTime(date);
  const log = createDirectoryLog();
  const gather = createGatherer(isReused);
  for await (const batch of readyEntries(entries)) {
    for (const entry of batch) {
      const nameBytes = Buffer.byteLength(entry.name);
      if (nameBytes > LONGEST_NAME) throw new RangeError(`a name of ${nameBytes} bytes is too long for a zip`);
      if (!gather.hasRoomFor(longestHeader(nameBytes))) yield gather.take();
      const packing = writeHeader(gather, entry, nameBytes, time, log);
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
  const offset = gather.total();
  const contents = yield* writeDirectory(gather, log, offset, time);
  const end = endRecords(contents);
  if (!gather.add(end)) yield* gather.addLong(end);
  if (!gather.isEmpty()) yield gather.take();
  onFinished?.(contents);
}

function writeHeader(
  gather: Gatherer,
  entry: ReadyEntry,
  nameBytes: number,
  time: DosTime,
  log: DirectoryLog,
): Promise<void> | undefined {
  const { out, at } = gather.room();
  out.write(entry.name, at + LOCAL_NAME);
  const end = writeLocalHeader(out, at, nameBytes, entry, time);
  gather.wrote(end - at);
  return log.add(out, at + LOCAL_NAME, nameBytes, entry);
}

async function* writeDirectory(
  gather: Gatherer,
  log: DirectoryLog,
  offset: number,
  time: DosTime,
): AsyncGenerator<Buffer, ZipContents> {
  const hash = createHash('sha256');
  let entries = 0;
  let entryOffset = 0;
  // What was gathered before belongs to the entries.
  if (!gather.isEmpty()) yield gather.take();
  for await (const { name, facts } of log.read()) {
    if (!gather.hasRoomFor(longestHeader(name.length))) {
      const full = gather.take();
      hash.update(full);
      yield full;
    }
    const { out, at } = gather.room();
    gather.wrote(writeCentralHeader(out, at, name, facts, entryOffset, time) - at);
    entryOffset += localHeaderLength(name.length, facts) + facts.stored;
    entries += 1;
  }
  const length = gather.total() - offset;
  // The end records still go into the same Buffer.
  hash.update(gather.peek());
  return { entries, offset, length, directorySha256: hash.digest('hex') };
}

interface Gatherer {
  hasRoomFor(bytes: number): boolean;
  isEmpty(): boolean;
  /** Where the next bytes go; to be followed by `wrote`. */
  room(): { out: Buffer; at: number };
  wrote(bytes: number): void;
  /** False: there is no room for it, and nothing was added. */
  add(piece: Buffer): boolean;
  addLong(piece: Buffer): Generator<Buffer>;
  /** What was gathered, not taken yet. */
  peek(): Buffer;
  take(): Buffer;
  /** Bytes of all that was added. */
  total(): number;
}

function createGatherer(isReused: boolean): Gatherer {
  let out = Buffer.allocUnsafeSlow(GATHERED);
  let at = 0;
  let taken = 0;
  const take = (): Buffer => {
    const full = out.subarray(0, at);
    taken += at;
    if (!isReused) out = Buffer.allocUnsafeSlow(GATHERED);
    at = 0;
    return full;
  };
  const add = (piece: Buffer): boolean => {
    if (piece.length > GATHERED - at) return false;
    out.set(piece, at);
    at += piece.length;
    return true;
  };
  return {
    hasRoomFor: (bytes) => bytes <= GATHERED - at,
    isEmpty: () => at === 0,
    room: () => ({ out, at }),
    wrote: (bytes) => void (at += bytes),
    add,
    *addLong(piece) {
      // The Buffer is filled up, so that what the consumer gets is of one size wherever it can be.
      const start = GATHERED - at;
      add(piece.subarray(0, start));
      yield take();
      const rest = piece.subarray(start);
      if (add(rest)) return;
      taken += rest.length;
      yield rest;
    },
    peek: () => out.subarray(0, at),
    take,
    total: () => taken + at,
  };
}

function checkLength({ name, stored }: ReadyEntry, length: number): void {
  if (length !== stored)
    throw new RangeError(`${name} has ${length} bytes to store, not the ${stored} that were announced`);
}
