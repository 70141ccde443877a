/** Reads files out of segments: few reads for many files, several at once, every byte checked. */
import { createHash } from 'node:crypto';
import { findWrong } from '../hashing/hash-thread.js';
import { createArenas, type Arena } from './arenas.js';
import { createByteBudget } from './byte-budget.js';
import type { FetchedFile, FetchedStoredFile, Omission } from './fetch-file.js';
import { joinRanges, type JoinedRead } from './join-ranges.js';
import type { StoredFile, StoredRange } from './members.js';
import { openSegmentAccess, type RangeOutcome } from './segment-access.js';
import type { SourceClient } from './source-client.js';

export interface SegmentReader {
  /** Plans the reads of these files, without starting them; gaps are read along as far as that costs no more than `most`. */
  plan(files: readonly StoredFile[], most: number): SegmentPlan;
  /** Closes what is open, once it is read no more. */
  close(): Promise<void>;
}

export interface SegmentPlan {
  /** Bytes that the files will hold together. */
  readonly cost: number;
  /** Each file, or why there is none, in the order of the plan. To be called once. */
  read(): Promise<FetchedFile[]>;
  /** The files are done with, and their memory may be used again. */
  give(): void;
}

const MIB = 1024 * 1024;
const READS_AT_ONCE = 8;
const LONGEST_READ = 4 * MIB;
/** Bytes between two files that are read along: reading so many takes no longer than another request. */
export const JOINED_GAP = 64 * 1024;
/** A file that takes more than this is not held whole, but read twice: to check it, and to hand it over. */
const LARGEST_HELD = 8 * MIB;
/** Pieces of such a file in memory at a time: one in use, one on its way. */
const PIECES_HELD = 2;
/** Readings of bytes that are not those that were stored. */
const CORRUPT_TRIES = 2;

/** @param isReused true: the memory of what was given back is used again, rather than left to the garbage collector */
export function openSegmentReader(client: SourceClient, base: URL, isReused: boolean): SegmentReader {
  const access = openSegmentAccess(client, base);
  const arenas = createArenas(isReused);
  const slots = createByteBudget(READS_AT_ONCE);

  const readRange = async (
    { segment, offset }: Pick<JoinedRead, 'segment' | 'offset'>,
    into: Buffer,
  ): Promise<RangeOutcome> => {
    await slots.take(1);
    try {
      return await access.read(segment, offset, into);
    } finally {
      slots.give(1);
    }
  };

  /** A file whose bytes were wrong is read once more, alone. */
  const readAgain = async (file: StoredFile, bytes: Buffer): Promise<FetchedFile> => {
    const outcome = await readRange(file.stored, bytes);
    if (outcome !== 'read') return { type: 'omitted', reason: outcome };
    const wrong = await findWrong(bytes, [{ ...file.stored, start: 0 }]);
    return wrong.length === 0 ? fetched(file, bytes) : { type: 'omitted', reason: 'corrupt' };
  };

  /** The files of one read. Where its bytes cannot be had, each half is tried, so that one bad place costs no others. */
  const readJoined = async (
    read: JoinedRead,
    files: readonly StoredFile[],
    into: Buffer,
  ): Promise<[number, FetchedFile][]> => {
    const outcome = await readRange(read, into);
    const results: [number, FetchedFile][] = [];
    if (outcome === 'read') {
      const places = read.ranges.map((index) => {
        const { offset, length, sha256 } = (files[index] as StoredFile).stored;
        return { start: offset - read.offset, length, sha256 };
      });
      const wrong = new Set(await findWrong(into, places));
      for (const [position, { start, length }] of places.entries()) {
        const index = read.ranges[position] as number;
        const [file, bytes] = [files[index] as StoredFile, into.subarray(start, start + length)];
        results.push([index, wrong.has(position) ? await readAgain(file, bytes) : fetched(file, bytes)]);
      }
      return results;
    }
    if (read.ranges.length === 1 || outcome === 'missing') {
      return read.ranges.map((index) => [index, { type: 'omitted', reason: outcome }]);
    }
    for (const half of halves(read, files)) {
      const start = half.offset - read.offset;
      results.push(...(await readJoined(half, files, into.subarray(start, start + half.length))));
    }
    return results;
  };

  const readLarge = async (file: StoredFile): Promise<FetchedFile> => {
    for (let tries = 1; tries <= CORRUPT_TRIES; tries++) {
      const hash = createHash('sha256');
      for await (const piece of readPieces(file)) {
        if (!Buffer.isBuffer(piece)) return { type: 'omitted', reason: piece };
        hash.update(piece);
      }
      if (hash.digest('hex') === file.stored.sha256) return fetched(file, checkedPieces(file));
    }
    return { type: 'omitted', reason: 'corrupt' };
  };

  /** The next piece is on its way while one is used. */
  async function* readPieces({ stored: { segment, offset, length } }: StoredFile): AsyncGenerator<Buffer | Omission> {
    const used: Arena[] = [];
    const readAt = async (start: number): Promise<Buffer | Omission> => {
      const arena = arenas.take(LONGEST_READ);
      used.push(arena);
      const piece = arena.cut(Math.min(LONGEST_READ, length - start));
      const outcome = await readRange({ segment, offset: offset + start }, piece);
      return outcome === 'read' ? piece : outcome;
    };
    let next = readAt(0);
    for (let start = 0; start < length; start += LONGEST_READ) {
      const piece = await next;
      const after = start + LONGEST_READ;
      if (after < length) next = readAt(after);
      // Whoever stops in between waits for it no more.
      next.catch(() => undefined);
      yield piece;
      used.shift()?.give();
    }
  }

  async function* checkedPieces(file: StoredFile): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const piece of readPieces(file)) {
      if (!Buffer.isBuffer(piece)) throw new Error(`a file that had been read is ${piece}: ${file.href}`);
      hash.update(piece);
      yield piece;
    }
    if (hash.digest('hex') !== file.stored.sha256) throw new Error(`a file changed while it was read: ${file.href}`);
  }

  return {
    plan(files, most) {
      const indexes = [...files.keys()];
      const large = indexes.filter((index) => isLarge(files[index]));
      const held = large.length === 0 ? indexes : indexes.filter((index) => !isLarge(files[index]));
      const { reads, cost } = joinWithin(
        most,
        held.map((index) => (files[index] as StoredFile).stored),
      );
      let arena: Arena | undefined;
      return {
        cost: cost + large.length * PIECES_HELD * LONGEST_READ,
        async read() {
          const memory = arenas.take(cost);
          arena = memory;
          const results = new Array<FetchedFile>(files.length);
          const joined = reads.map(async (read) => {
            const ranges = read.ranges.map((range) => held[range] ?? 0);
            const found = await readJoined({ ...read, ranges }, files, memory.cut(read.length));
            for (const [index, result] of found) results[index] = result;
          });
          const single = large.map(async (index) => {
            results[index] = await readLarge(files[index] as StoredFile);
          });
          await Promise.all([...joined, ...single]);
          return results;
        },
        give: () => arena?.give(),
      };
    },
    close: () => access.close(),
  };
}

function joinWithin(most: number, ranges: readonly StoredRange[]): { reads: JoinedRead[]; cost: number } {
  for (const gap of [JOINED_GAP, JOINED_GAP / 8]) {
    const reads = joinRanges(ranges, { gap, longest: LONGEST_READ });
    if (costOf(reads) <= most) return { reads, cost: costOf(reads) };
  }
  const reads = joinRanges(ranges, { gap: 0, longest: LONGEST_READ });
  return { reads, cost: costOf(reads) };
}

function costOf(reads: readonly JoinedRead[]): number {
  return reads.reduce((sum, { length }) => sum + length, 0);
}

function isLarge(file: StoredFile | undefined): boolean {
  return file !== undefined && file.stored.length > LARGEST_HELD;
}

function halves(read: JoinedRead, files: readonly StoredFile[]): JoinedRead[] {
  const middle = Math.ceil(read.ranges.length / 2);
  return [read.ranges.slice(0, middle), read.ranges.slice(middle)].map((ranges) => {
    const places = ranges.map((index) => (files[index] as StoredFile).stored);
    const start = Math.min(...places.map(({ offset }) => offset));
    const end = Math.max(...places.map(({ offset, length }) => offset + length));
    return { segment: read.segment, offset: start, length: end - start, ranges };
  });
}

function fetched(file: StoredFile, data: FetchedStoredFile['data']): FetchedStoredFile {
  const { size, sha256, stored } = file;
  const { length, method, crc32 } = stored;
  return { type: 'stored', data, stored: length, method, size, crc32, sha256, mediaType: file.media_type ?? '' };
}
