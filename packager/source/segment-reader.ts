/** Reads files out of segments: few reads for many files, several at once, every byte checked. */
import { createHash } from 'node:crypto';
import { createByteBudget } from './byte-budget.js';
import type { FetchedFile, FetchedStoredFile, Omission } from './fetch-file.js';
import { joinRanges, type JoinedRead } from './join-ranges.js';
import type { StoredFile, StoredRange } from './members.js';
import { openSegmentAccess } from './segment-access.js';
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

export function openSegmentReader(client: SourceClient, base: URL): SegmentReader {
  const access = openSegmentAccess(client, base);
  const slots = createByteBudget(READS_AT_ONCE);

  const readRange = async ({ segment, offset, length }: Omit<JoinedRead, 'ranges'>) => {
    await slots.take(1);
    try {
      return await access.read(segment, offset, length);
    } finally {
      slots.give(1);
    }
  };

  const readFile = async (file: StoredFile, bytes: Buffer | undefined): Promise<FetchedFile> => {
    let found: Buffer | Omission = bytes ?? (await readRange(file.stored));
    for (let tries = 1; ; tries++) {
      if (!Buffer.isBuffer(found)) return { type: 'omitted', reason: found };
      if (createHash('sha256').update(found).digest('hex') === file.stored.sha256) return fetched(file, found);
      if (tries === CORRUPT_TRIES) return { type: 'omitted', reason: 'corrupt' };
      found = await readRange(file.stored);
    }
  };

  /** The files of one read. Where its bytes cannot be had, each half is tried, so that one bad place costs no others. */
  const readJoined = async (read: JoinedRead, files: readonly StoredFile[]): Promise<[number, FetchedFile][]> => {
    const bytes = await readRange(read);
    const results: [number, FetchedFile][] = [];
    if (Buffer.isBuffer(bytes)) {
      for (const index of read.ranges) {
        const file = files[index] as StoredFile;
        const start = file.stored.offset - read.offset;
        results.push([index, await readFile(file, bytes.subarray(start, start + file.stored.length))]);
      }
      return results;
    }
    if (read.ranges.length === 1 || bytes === 'missing') {
      return read.ranges.map((index) => [index, { type: 'omitted', reason: bytes }]);
    }
    for (const half of halves(read, files)) results.push(...(await readJoined(half, files)));
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
    const readAt = (start: number) => {
      if (start >= length) return undefined;
      const reading = readRange({ segment, offset: offset + start, length: Math.min(LONGEST_READ, length - start) });
      // Whoever stops in between waits for it no more.
      reading.catch(() => undefined);
      return reading;
    };
    let next = readAt(0);
    for (let start = LONGEST_READ; next !== undefined; start += LONGEST_READ) {
      const piece = await next;
      next = readAt(start);
      yield piece;
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
      return {
        cost: cost + large.length * PIECES_HELD * LONGEST_READ,
        async read() {
          const results = new Array<FetchedFile>(files.length);
          const joined = reads.map(async (read) => {
            const ranges = read.ranges.map((range) => held[range] ?? 0);
            for (const [index, result] of await readJoined({ ...read, ranges }, files)) results[index] = result;
          });
          const single = large.map(async (index) => {
            results[index] = await readLarge(files[index] as StoredFile);
          });
          await Promise.all([...joined, ...single]);
          return results;
        },
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
