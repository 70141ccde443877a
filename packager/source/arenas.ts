/** Memory for what is read together. */
import { giveShared, takeShared } from '../hashing/shared-memory.js';

export interface Arenas {
  take(bytes: number): Arena;
}

export interface Arena {
  /** The next so many bytes of it; together no more than were taken. */
  cut(bytes: number): Buffer;
  /** Nobody looks at its bytes any more. */
  give(): void;
}

/**
 * @param isReused true: an arena that was given back is used again. Memory that is left to the garbage collector instead
 * is freed so late that a packager holds some 100 MB of it.
 */
export function createArenas(isReused: boolean): Arenas {
  return {
    take(bytes) {
      const memory = isReused ? takeShared(bytes) : Buffer.allocUnsafeSlow(bytes);
      let used = 0;
      return {
        cut(length) {
          used += length;
          if (used > bytes) throw new RangeError(`an arena of ${bytes} bytes was asked for ${used}`);
          return memory.subarray(used - length, used);
        },
        give() {
          if (isReused) giveShared(memory);
        },
      };
    },
  };
}
