/** After something was written to a collection: the search engine takes it in, within the same request. */
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';

/** What was written stays written: until the engine has it, searches are refused, and the next ingest tries again. */
export async function takeInWritten(
  { searchEngine, log }: Pick<Parts, 'searchEngine' | 'log'>,
  collection: Collection,
): Promise<void> {
  try {
    await searchEngine.takeIn(collection);
  } catch (error) {
    log.error({ err: error, collection: collection.id }, 'the search engine has not taken in what was written');
  }
}
