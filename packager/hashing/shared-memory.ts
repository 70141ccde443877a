/**
 * Memory that the hashing thread sees too: what lies in it is not copied to be hashed. The garbage collector does not know how
 * much of it there is and would free it far too late, so it is given back, and used again by whoever comes next.
 */

/** What nobody uses and is kept all the same, in bytes: what was let go would be there until the garbage collector comes, beside the new. */
const KEPT = 20 * 1024 * 1024;
/** Lengths are rounded up to this, so that memory fits more often. */
const GRAIN = 512 * 1024;

/** What is taken may be so many times as long as what was asked for. */
const SPARE = 1.25;

/** Oldest first. */
const free: Buffer[] = [];
let kept = 0;

/** So many bytes, with whatever somebody else has left in them. */
export function takeShared(bytes: number): Buffer {
  // Of much more memory than is asked for the rest would lie idle.
  const found = free.findLastIndex(({ length }) => length >= bytes && length <= bytes * SPARE + GRAIN);
  const [memory = Buffer.from(new SharedArrayBuffer(Math.max(Math.ceil(bytes / GRAIN), 1) * GRAIN))] =
    found < 0 ? [] : free.splice(found, 1);
  if (found >= 0) kept -= memory.length;
  return memory.subarray(0, bytes);
}

/** Nobody looks at these bytes, or at those that were taken with them, any more. */
export function giveShared(bytes: Buffer): void {
  const memory = Buffer.from(bytes.buffer);
  free.push(memory);
  kept += memory.length;
  while (kept > KEPT) kept -= free.shift()?.length ?? kept;
}

export const isShared = (bytes: Buffer): boolean => bytes.buffer instanceof SharedArrayBuffer;
