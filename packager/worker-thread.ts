/** A thread that answers orders in their turn. */
import { Worker } from 'node:worker_threads';

export interface WorkerThread {
  /** Orders that it has not answered yet. */
  readonly waiting: number;
  /**
   * @param order is copied, but for memory that is shared or transferred
   * @returns what the thread answers; rejects where it ends before, or has ended
   */
  ask<Answer>(order: object, transferred?: readonly ArrayBuffer[]): Promise<Answer>;
}

/**
 * Starts a thread, which keeps the process alive only while somebody waits for it.
 * @param script gets each order with an `id`, and posts that `id` with a `result`
 * @param onEnd the thread has failed, and so did all orders that waited: the next one needs a new thread
 */
export function startWorkerThread(script: URL, name: string, onEnd: () => void): WorkerThread {
  const worker = new Worker(script, {
    name,
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
  const waiting = new Map<number, { resolve: (result: never) => void; reject: (error: unknown) => void }>();
  let last = 0;
  worker.unref();
  worker.on('message', ({ id, result }: { id: number; result: never }) => {
    waiting.get(id)?.resolve(result);
    waiting.delete(id);
    if (waiting.size === 0) worker.unref();
  });
  let failure: unknown;
  let hasEnded = false;
  worker.once('error', (error) => (failure = error));
  // It comes after the error, too, and once only: a second end would be taken for that of the thread that follows.
  worker.once('exit', (code) => {
    onEnd();
    hasEnded = true;
    failure ??= new Error(`the ${name} thread has ended with code ${code}`);
    for (const { reject } of waiting.values()) reject(failure);
    waiting.clear();
  });
  return {
    get waiting() {
      return waiting.size;
    },
    ask: (order, transferred = []) =>
      new Promise((resolve, reject) => {
        if (hasEnded) {
          // Nobody would ever answer.
          reject(toError(failure));
          return;
        }
        const id = ++last;
        if (waiting.size === 0) worker.ref();
        waiting.set(id, { resolve, reject });
        worker.postMessage({ ...order, id }, transferred);
      }),
  };
}

const toError = (failure: unknown): Error => (failure instanceof Error ? failure : new Error(String(failure)));
