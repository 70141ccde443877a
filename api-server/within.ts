/** Waits, but not for ever. */
import { setTimeout as sleep } from 'node:timers/promises';

/** Whether it resolves within so many milliseconds. @throws what it rejects with until then */
export async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  const deadline = new AbortController();
  const late = sleep(milliseconds, false, { signal: deadline.signal });
  // Aborted below, when nobody waits for it any more.
  late.catch(() => undefined);
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    deadline.abort();
  }
}
