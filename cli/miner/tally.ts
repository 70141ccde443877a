/**
 * Compares two long lists of files, whatever their order, without holding either: each is folded into sums of digests, and equal
 * lists have equal sums.
 */
import { createHash } from 'node:crypto';

export interface Tally {
  add(name: string, sha256: string): void;
  count(): number;
  /** Number of the first part in which another tally is different; undefined where they are equal. */
  difference(other: Tally): number | undefined;
  sums(): readonly bigint[];
}

/** Where two lists differ, only the files of one part have to be held to tell which. */
const PARTS = 1_024;

export function createTally(): Tally {
  const sums = Array.from({ length: PARTS }, () => 0n);
  let count = 0;
  return {
    add(name, sha256) {
      count += 1;
      const part = partOf(name);
      const digest = createHash('sha256').update(`${name}\0${sha256}`).digest('hex');
      sums[part] = BigInt.asUintN(256, (sums[part] ?? 0n) + BigInt(`0x${digest}`));
    },
    count: () => count,
    sums: () => sums,
    difference(other) {
      const theirs = other.sums();
      const part = sums.findIndex((sum, index) => sum !== theirs[index]);
      return part === -1 ? undefined : part;
    },
  };
}

/** Which part a name belongs to. */
export const partOf = (name: string): number => createHash('sha256').update(name).digest().readUInt16BE(0) % PARTS;
