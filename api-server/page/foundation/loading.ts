/** What is being asked of the service, as a component sees it. */
import { useCallback, useEffect, useState } from 'preact/hooks';
import { RefusedError, UnreachableError } from './api.js';

export type Loading<Value> =
  | { state: 'loading' }
  | { state: 'loaded'; value: Value }
  | { state: 'failed'; error: RefusedError | UnreachableError };

/**
 * Loads when the component is first drawn, when `about` changes, and on `again`. What is asked for nobody any more is broken off.
 * @param load gets a signal to give to the request
 */
export function useLoaded<Value>(
  about: string,
  load: (signal: AbortSignal) => Promise<Value>,
): Loading<Value> & { again: () => void } {
  const [tries, setTries] = useState(0);
  const [loading, setLoading] = useState<Loading<Value>>({ state: 'loading' });
  useEffect(() => {
    const abort = new AbortController();
    setLoading({ state: 'loading' });
    load(abort.signal).then(
      (value) => {
        if (!abort.signal.aborted) setLoading({ state: 'loaded', value });
      },
      (error: unknown) => {
        if (!abort.signal.aborted) setLoading({ state: 'failed', error: knownError(error) });
      },
    );
    return () => abort.abort();
    // `load` is made anew each time the component is drawn; what it loads is told by `about`.
  }, [about, tries]);
  const again = useCallback(() => setTries((count) => count + 1), []);
  return { ...loading, again };
}

/** An error that no code of ours foresaw goes on to the console, where it can be found. */
export function knownError(error: unknown): RefusedError | UnreachableError {
  if (error instanceof RefusedError || error instanceof UnreachableError) return error;
  console.error(error);
  return new UnreachableError('Something went wrong in this page. Loading it again may help.', { cause: error });
}
