/** What is asked for again and again: as often as the server says, and only while somebody is looking. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { RefusedError, type UnreachableError } from './api.js';
import { knownError } from './loading.js';

type Trouble = RefusedError | UnreachableError;

/** `trouble`: the last try failed, and another follows by itself. */
export type Polled<Value> =
  | { state: 'loading'; trouble?: Trouble }
  | { state: 'known'; value: Value; /** In milliseconds since the epoch. */ at: number; trouble?: Trouble }
  | { state: 'failed'; error: Trouble };

/** An answer, and in how many seconds there is a next one; undefined: it is the last. */
export interface Poll<Value> {
  value: Value;
  next: number | undefined;
}

const FIRST_PAUSE = 1;
const LONGEST_PAUSE = 15;

/**
 * Asks until `poll` says that it was the last time, or an answer that will not change. A hidden tab asks nothing; it goes on when it is seen
 * again. A server that is away, busy or restarting is asked again after a while.
 */
export function usePolled<Value>(
  about: string,
  poll: (signal: AbortSignal) => Promise<Poll<Value>>,
): Polled<Value> & { again: () => void } {
  const [tries, setTries] = useState(0);
  const [polled, setPolled] = useState<Polled<Value>>({ state: 'loading' });
  useEffect(() => {
    const abort = new AbortController();
    setPolled({ state: 'loading' });
    void pollOn(poll, abort.signal, setPolled);
    return () => abort.abort();
    // `poll` is made anew each time the component is drawn; what it asks is told by `about`.
  }, [about, tries]);
  const again = useCallback(() => setTries((count) => count + 1), []);
  return { ...polled, again };
}

async function pollOn<Value>(
  poll: (signal: AbortSignal) => Promise<Poll<Value>>,
  signal: AbortSignal,
  tell: (change: (before: Polled<Value>) => Polled<Value>) => void,
): Promise<void> {
  const isOver = (): boolean => signal.aborted;
  let failures = 0;
  while (!isOver()) {
    await untilSeen(signal);
    if (isOver()) return;
    let pause: number;
    try {
      const { value, next } = await poll(signal);
      if (isOver()) return;
      failures = 0;
      tell(() => ({ state: 'known', value, at: Date.now() }));
      if (next === undefined) return;
      pause = next;
    } catch (thrown) {
      if (isOver()) return;
      const error = knownError(thrown);
      if (!isPassing(error)) {
        tell(() => ({ state: 'failed', error }));
        return;
      }
      pause = pauseAfter(error, failures);
      failures += 1;
      tell((before) => (before.state === 'failed' ? before : { ...before, trouble: error }));
    }
    await sleep(pause * 1_000, signal);
  }
}

/** True where the same request may well be answered in a while. */
const isPassing = (error: Trouble): boolean =>
  !(error instanceof RefusedError) || error.problem.status === 429 || error.problem.status >= 500;

const pauseAfter = (error: Trouble, failures: number): number =>
  (error instanceof RefusedError ? error.retryAfter : undefined) ??
  Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);

function untilSeen(signal: AbortSignal): Promise<void> {
  if (document.visibilityState === 'visible') return Promise.resolve();
  return new Promise((resolve) => {
    const check = (): void => {
      if (document.visibilityState === 'hidden' && !signal.aborted) return;
      document.removeEventListener('visibilitychange', check);
      resolve();
    };
    document.addEventListener('visibilitychange', check);
    signal.addEventListener('abort', check, { once: true });
  });
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
