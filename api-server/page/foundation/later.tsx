/** Views whose script comes when they are first wanted, or a while after the first view, so that the first one does not wait for all. */
import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

const all: (() => Promise<unknown>)[] = [];

/** @param load imports the script */
export function later<Views extends object>(load: () => Promise<Views>) {
  let views: Views | undefined;
  const get = async (): Promise<Views> => (views ??= await load());
  all.push(get);
  return function Later({ children }: { children: (views: Views) => ComponentChildren }) {
    const [there, setThere] = useState(views);
    const [hasFailed, setFailed] = useState(false);
    useEffect(() => {
      if (there === undefined) get().then(setThere, () => setFailed(true));
    }, []);
    if (there !== undefined) return <>{children(there)}</>;
    return hasFailed ? <Missing /> : <p class="waiting">Loading …</p>;
  };
}

/** What fails here is tried again, and told, where it is wanted. */
export function loadTheRest(): void {
  for (const load of all) load().catch(() => undefined);
}

const Missing = () => (
  <div role="alert" class="notice problem">
    <p class="notice-title">This part of the page did not come</p>
    <p>The service cannot be reached, or was renewed since the page was opened.</p>
    <p class="notice-actions">
      <button type="button" onClick={() => location.reload()}>
        Load the page again
      </button>
    </p>
  </div>
);
