/**
 * Memory that the hashing thread sees too: what lies in it is not copied to be hashed. The garbage collector does not know how
 * much of it there is and would free it far too late, so it is given back, and used again by whoever comes next.
 */

/**
 * What nobody uses and is kept all the same, in bytes: as much as one job uses at a time. What was let go would be there until the
 * garbage collector comes, beside the new.
 */
const KEPT = 24 * 1024 * 1024;
const SHORTEST = 512 * 1024;
/** Longer ones are all of one length mostly, as the parts of an archive are. */
const LONGEST_POWER = 4 * 1024 * 1024;

/** What is taken may be so many times as long as what was asked for: of much more the rest would lie idle. */
const SPARE = 2;

/** Oldest first. */
const free: Buffer[] = [];
let kept = 0;

/** So many bytes, with whatever somebody else has left in them. */
export function takeShared(bytes: number): Buffer {
  const rounded = roundUp(bytes);
  const index = shortestOf(free, rounded);
  const found = index === undefined ? undefined : free.splice(index, 1)[0];
  if (found !== undefined) kept -= found.length;
  return (found ?? Buffer.from(new SharedArrayBuffer(rounded))).subarray(0, bytes);
}

/** To a power of two: of few lengths, each fits all others who need about as much. */
function roundUp(bytes: number): number {
  if (bytes > LONGEST_POWER) return Math.ceil(bytes / SHORTEST) * SHORTEST;
  let rounded = SHORTEST;
  while (rounded < bytes) rounded *= 2;
  return rounded;
}

function shortestOf(memories: readonly Buffer[], least: number): number | undefined {
  let best: number | undefined;
  for (const [index, { length }] of memories.entries()) {
    if (length < least || length > least * SPARE) continue;
    if (best === undefined || length <= (memories[best]?.length ?? 0)) best = index;
  }
  return best;
}

/** Nobody looks at these bytes, or at those that were taken with them, any more. */
export function giveShared(bytes: Buffer): void {
  const memory = Buffer.from(bytes.buffer);
  free.push(memory);
  kept += memory.length;
  while (kept > KEPT) kept -= free.shift()?.length ?? kept;
}

export const isShared = (bytes: Buffer): boolean => bytes.buffer instanceof SharedArrayBuffer;
