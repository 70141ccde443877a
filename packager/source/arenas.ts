/** Memory for what is read together. */

export interface Arenas {
  take(bytes: number): Arena;
}

export interface Arena {
  /** The next so many bytes of it; together no more than were taken. */
  cut(bytes: number): Buffer;
  /** Nobody looks at its bytes any more. */
  give(): void;
}

/** Whatever is asked for, arenas are at least this long, so that they fit the next time. */
const SHORTEST = 64 * 1024;
/** Room for the last document of a batch, which makes it a bit longer than the one before. */
const SPARE = 9 / 8;

/**
 * @param isReused true: an arena that was given back is used again. Memory that is left to the garbage collector instead
 * is freed so late that a packager holds some 100 MB of it.
 */
export function createArenas(isReused: boolean): Arenas {
  let free: Buffer[] = [];
  const find = (bytes: number): Buffer => {
    const found = free.pop();
    if (found !== undefined && found.length >= bytes) return found;
    // Batches have changed their length: all that were kept for the old one go.
    free = [];
    return Buffer.allocUnsafeSlow(Math.max(Math.ceil(bytes * (isReused ? SPARE : 1)), isReused ? SHORTEST : 0));
  };
  return {
    take(bytes) {
      const memory = find(bytes);
      let used = 0;
      return {
        cut(length) {
          used += length;
          if (used > bytes) throw new RangeError(`an arena of ${bytes} bytes was asked for ${used}`);
          return memory.subarray(used - length, used);
        },
        give() {
          if (isReused) free.push(memory);
        },
      };
    },
  };
}
