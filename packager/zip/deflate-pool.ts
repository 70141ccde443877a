/** Deflates many short contents at a time, in threads of our own: a turn through Node's for each takes as long as the work. */
import { availableParallelism } from 'node:os';
import { startWorkerThread, type WorkerThread } from '../worker-thread.js';

export interface DeflatedContent {
  bytes: Buffer;
  /** Of the content. */
  crc32: number;
}

interface Answer {
  packed: Uint8Array<ArrayBuffer>;
  lengths: number[];
  crc32s: number[];
}

const MOST_THREADS = 4;

const threads: (WorkerThread | undefined)[] = Array.from({
  length: Math.min(availableParallelism(), MOST_THREADS),
});

/**
 * Raw deflate of each content.
 * @param level 1 to 9
 */
export async function deflateMany(contents: readonly Buffer[], level: number): Promise<DeflatedContent[]> {
  const lengths = contents.map(({ length }) => length);
  const packed = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let end = 0;
  for (const content of contents) {
    packed.set(content, end);
    end += content.length;
  }
  const answer = await idlest().ask<Answer>({ packed, lengths, level }, [packed.buffer]);
  const { buffer } = answer.packed;
  let start = 0;
  return answer.lengths.map((length, index) => {
    start += length;
    return { bytes: Buffer.from(buffer, start - length, length), crc32: answer.crc32s[index] ?? 0 };
  });
}

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
