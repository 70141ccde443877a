/** Cuts a stream into parts of given sizes, in memory that is used again for later parts. */
import { takeShared } from '../hashing/shared-memory.js';
import type { ByteSource } from './archive-store.js';

export interface Part {
  bytes: Buffer;
  /** From 1. */
  number: number;
}

const MIB = 1024 * 1024;
/** The least that S3 takes as a part that is not the last; several are in memory at a time. */
const SHORTEST_PART = 5 * MIB;
/** Of parts that grow with their number. */
const FIRST_PART = 8 * MIB;
/** "Maximum number of parts per upload: 10,000" (S3, multipart upload limits). */
export const MAX_PARTS = 10_000;

/**
 * Sizes of the parts of an upload, by their numbers from 1. Where the length is known they are all of one size, 5 MiB for
 * up to 48 GiB. Where it is not, each thousand are 1.9 times as large as those before, so that they hold 5 TB.
 */
export function partSizes(length: number | undefined): (number: number) => number {
  if (length === undefined)
    return (number) => (FIRST_PART * Math.floor(1.9 ** Math.floor((number - 1) / 1000) * 8)) / 8;
  const size = Math.max(SHORTEST_PART, Math.ceil(length / MAX_PARTS / MIB) * MIB);
  return () => size;
}

/** Each part belongs to whoever gets it, and is given back by `giveShared`. An empty stream is one empty part. */
export async function* cutIntoParts(source: ByteSource, sizeOf: (number: number) => number): AsyncGenerator<Part> {
  let taken = 0;
  let number = 0;
  const nextMemory = (): Buffer => takeShared(sizeOf(++taken));
  const parts = typeof source === 'function' ? source(nextMemory) : fillParts(source, nextMemory);
  for await (const bytes of parts) yield { bytes, number: ++number };
}

/** Each piece is copied once, into its part. */
async function* fillParts(source: AsyncIterable<Buffer>, nextMemory: () => Buffer): AsyncGenerator<Buffer> {
  let part = nextMemory();
  let filled = 0;
  for await (const piece of source) {
    for (let taken = 0; taken < piece.length;) {
      if (filled === part.length) {
        yield part;
        part = nextMemory();
        filled = 0;
      }
      const copied = piece.copy(part, filled, taken);
      taken += copied;
      filled += copied;
    }
  }
  yield part.subarray(0, filled);
}
