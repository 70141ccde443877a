/** Deflates many short contents at a time, in threads of our own: a turn through Node's for each takes as long as the work. */
import { availableParallelism } from 'node:os';
import { giveShared, takeShared } from '../hashing/shared-memory.js';
import { startWorkerThread, type WorkerThread } from '../worker-thread.js';
import { LONGEST_SHORT } from './entry.js';

/** What is to be stored of a content. */
export interface DeflatedContent {
  /** Raw deflate, or the content itself where that is no longer. */
  bytes: Buffer;
  /** Of the content. */
  crc32: number;
}

/** Contents that go to a thread together, in memory that it sees too. */
export interface ContentGroup {
  /** Bytes of memory that it takes. */
  readonly cost: number;
  /** Copies a content. False: there is no room for it, and nothing was added. */
  add(content: Buffer): boolean;
  /** Each content, in the order in which they were added, in the memory of the group. To be called once, after the last. Rejects where the thread ends before it is done. */
  deflate(): Promise<DeflatedContent[]>;
  /** Nobody looks at what was deflated any more. Not to be called while a thread may be deflating. */
  give(): void;
}

interface Answer {
  stored: Uint32Array;
  crc32s: Uint32Array;
}

/** Bytes that go to a thread together. */
const TOGETHER = 2 * LONGEST_SHORT;
/** In bytes. */
const WORD = 8;
const MOST_THREADS = 4;

const threads: (WorkerThread | undefined)[] = Array.from({
  length: Math.min(availableParallelism(), MOST_THREADS),
});

/** @param level 1 to 9 */
export function createContentGroup(level: number): ContentGroup {
  const memory = takeShared(TOGETHER);
  const lengths: number[] = [];
  let end = 0;
  return {
    cost: TOGETHER,
    add(content) {
      if (content.length > memory.length - end) return false;
      memory.set(content, end);
      end = aligned(end + content.length);
      lengths.push(content.length);
      return true;
    },
    async deflate() {
      const order = { memory: memory.buffer, lengths: Uint32Array.from(lengths), level };
      const { stored, crc32s } = await idlest().ask<Answer>(order);
      let start = 0;
      return lengths.map((_, index) => {
        const bytes = memory.subarray(start, start + (stored[index] ?? 0));
        start = aligned(start + bytes.length);
        return { bytes, crc32: crc32s[index] ?? 0 };
      });
    },
    give: () => giveShared(memory),
  };
}

/** Where the next bytes begin: V8 copies to and from shared memory byte by byte, unless both places are those of whole words. */
const aligned = (end: number): number => Math.ceil(end / WORD) * WORD;

/** The thread with the least to do; started where all others are busy. */
function idlest(): WorkerThread {
  let best = 0;
  for (const [index, thread] of threads.entries()) {
    if ((thread?.waiting ?? 0) < (threads[best]?.waiting ?? 0)) best = index;
  }
  return (threads[best] ??= startWorkerThread(new URL('./deflate-worker.mjs', import.meta.url), 'deflate', () => {
    threads[best] = undefined;
  }));
}
