/** Cuts a stream into parts of given sizes, in memory that is used again for later parts. */
import { takeShared } from '../hashing/shared-memory.js';

export interface Part {
  bytes: Buffer;
  /** From 1. */
  number: number;
  last: boolean;
}

const MIB = 1024 * 1024;
const PART = 8 * MIB;
/** "Maximum number of parts per upload: 10,000" (S3, multipart upload limits). */
export const MAX_PARTS = 10_000;

/**
 * Sizes of the parts of an upload, by their numbers from 1. Where the length is known they are all of one size, 8 MiB for
 * up to 78 GiB. Where it is not, each thousand are 1.9 times as large as those before, so that they hold 5 TB.
 */
export function partSizes(length: number | undefined): (number: number) => number {
  if (length === undefined) return (number) => (PART * Math.floor(1.9 ** Math.floor((number - 1) / 1000) * 8)) / 8;
  const size = Math.max(PART, Math.ceil(length / MAX_PARTS / MIB) * MIB);
  return () => size;
}

/**
 * An empty stream is one empty part. The last part is held back until the source's end is seen. Each piece is copied
 * once, into its part; who gets a part gives it back, by `giveShared`.
 */
export async function* cutIntoParts(
  source: AsyncIterable<Buffer>,
  sizeOf: (number: number) => number,
): AsyncGenerator<Part> {
  let number = 1;
  let part = takeShared(sizeOf(number));
  let filled = 0;
  for await (const piece of source) {
    for (let taken = 0; taken < piece.length;) {
      if (filled === part.length) {
        yield { bytes: part, number, last: false };
        number += 1;
        part = takeShared(sizeOf(number));
        filled = 0;
      }
      const copied = piece.copy(part, filled, taken);
      taken += copied;
      filled += copied;
    }
  }
  yield { bytes: part.subarray(0, filled), number, last: true };
}
