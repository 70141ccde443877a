/** Makes few reads of many ranges: those side by side, or nearly so, are read together. */
import type { Segment, StoredRange } from './members.js';

export interface JoinedRead {
  segment: Segment;
  offset: number;
  length: number;
  /** Which of the given ranges lie in it, in the order of their offsets. */
  ranges: number[];
}

export interface JoinLimits {
  /** Bytes between two ranges that are read along rather than left out. */
  gap: number;
  /** Bytes of a read; a longer range is a read by itself. */
  longest: number;
}

/** Every range lies whole in one read. The reads are in the order in which the first of their ranges is wanted. */
export function joinRanges(ranges: readonly StoredRange[], { gap, longest }: JoinLimits): JoinedRead[] {
  const reads: JoinedRead[] = [];
  let last: JoinedRead | undefined;
  for (const index of inOrderOfPlace(ranges)) {
    const range = ranges[index] as StoredRange;
    const end = range.offset + range.length;
    if (last?.segment.id === range.segment.id && range.offset <= last.offset + last.length + gap) {
      const joined = Math.max(last.offset + last.length, end) - last.offset;
      if (joined <= longest || joined === last.length) {
        last.length = joined;
        last.ranges.push(index);
        continue;
      }
    }
    last = { segment: range.segment, offset: range.offset, length: range.length, ranges: [index] };
    reads.push(last);
  }
  const firstWanted = new Map(reads.map((read) => [read, Math.min(...read.ranges)]));
  return reads.sort((a, b) => (firstWanted.get(a) ?? 0) - (firstWanted.get(b) ?? 0));
}

/** Indexes of the ranges, segment by segment, by offset. Documents mostly come in that order already. */
function inOrderOfPlace(ranges: readonly StoredRange[]): number[] {
  const rank = new Map<string, number>();
  for (const { segment } of ranges) if (!rank.has(segment.id)) rank.set(segment.id, rank.size);
  const rankOf = (index: number): number => rank.get(ranges[index]?.segment.id ?? '') ?? 0;
  const offsetOf = (index: number): number => ranges[index]?.offset ?? 0;
  return [...ranges.keys()].sort((a, b) => rankOf(a) - rankOf(b) || offsetOf(a) - offsetOf(b));
}
