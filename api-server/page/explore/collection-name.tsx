/** What a collection is called. Its id stands there until that is known. */
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api, bodyOf } from '../foundation/api.js';
import { knownError } from '../foundation/loading.js';

const names = signal<ReadonlyMap<string, string> | undefined>(undefined);
let asking: Promise<void> | undefined;

/** All of them at once: there are few collections. */
async function ask(): Promise<void> {
  try {
    const collections = await bodyOf(api.GET('/collections'));
    names.value = new Map(collections.map(({ id, name }) => [id, name]));
  } catch (error) {
    // The id is good enough; the next one that is shown asks again.
    asking = undefined;
    knownError(error);
  }
}

export function CollectionName({ id }: { id: string }) {
  useEffect(() => {
    if (names.value?.has(id) !== true) asking ??= ask();
  }, [id]);
  return <bdi>{names.value?.get(id) ?? id}</bdi>;
}
