import { expect, test } from '@jest/globals';
import { giveShared, takeShared } from '../../../packager/hashing/shared-memory.js';

const KIB = 1024;

test('memory is used again by whoever needs about as much, so that little of it is ever made', () => {
  const made = new Set<ArrayBufferLike>();
  const take = (kibibytes: number): Buffer => {
    const memory = takeShared(kibibytes * KIB);
    expect(memory).toHaveLength(kibibytes * KIB);
    made.add(memory.buffer);
    return memory;
  };
  // As an upload does: reads of many lengths, and parts of one, each given back in its turn.
  const reads: Buffer[] = [];
  const parts: Buffer[] = [];
  for (let round = 0; round < 2_000; round++) {
    reads.push(take(700 + ((round * 577) % 1_100)));
    if (reads.length > 6) giveShared(reads.shift() as Buffer);
    if (round % 4 === 0) parts.push(take(5 * KIB));
    if (parts.length > 3) giveShared(parts.shift() as Buffer);
  }
  const bytes = [...made].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(bytes / KIB / KIB).toBeLessThanOrEqual(40);
});
