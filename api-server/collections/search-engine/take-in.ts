/** After something was written to a collection: the search engine takes it in, within the same request. */
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import type { Intake } from './search-engine.js';

/** Whether searches of a collection are answered. */
export type IndexState = 'complete' | 'behind';

/** What was written stays written: until the engine has it, searches are refused, and the next ingest tries again. */
export async function takeInWritten(
  { searchEngine, log }: Pick<Parts, 'searchEngine' | 'log'>,
  collection: Collection,
  intake?: Intake,
): Promise<IndexState> {
  try {
    await searchEngine.takeIn(collection, intake);
    return 'complete';
  } catch (error) {
    log.error({ err: error, collection: collection.id }, 'the search engine has not taken in what was written');
    return 'behind';
  }
}
