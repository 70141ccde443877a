/** An answer that comes over a connection as messages, or not at all. */
import { patience } from './patience.js';
import type { StompConnection } from './stomp-connection.js';

interface Wait {
  /** Milliseconds in which this process has run. */
  ms: number;
  /** What it fails with when they are over. */
  tooLate: () => Error;
}

/**
 * Waits for what `start` has begun, no longer than that is worth, and no longer than the connection lives.
 * @param start gets how to end the wait, as a promise's executor does, and how to begin it anew where a part of the answer came
 * @throws what `tooLate` made, the reason for which the connection was lost, or what `start` has rejected with
 */
export async function awaited<T = void>(
  connection: StompConnection,
  { ms, tooLate }: Wait,
  start: (resolve: (answer: T | PromiseLike<T>) => void, reject: (reason: unknown) => void, heard: () => void) => void,
): Promise<T> {
  let endWait = (): void => undefined;
  let onLost = (): void => undefined;
  let isOver = false;
  try {
    return await new Promise<T>((resolve, reject) => {
      const wait = (): void => {
        endWait();
        if (!isOver) endWait = patience(ms, () => reject(tooLate()));
      };
      wait();
      onLost = () => reject(connection.lost.reason as Error);
      connection.lost.addEventListener('abort', onLost, { once: true });
      if (connection.lost.aborted) onLost();
      start(resolve, reject, wait);
    });
  } finally {
    isOver = true;
    endWait();
    connection.lost.removeEventListener('abort', onLost);
  }
}
