/** `adit reindex`: fills the search engine's index of a collection anew, from the database and the segments. */
import { findCollection } from '../api-server/collections/collections.js';
import { createEngineClient } from '../api-server/collections/search-engine/engine-client.js';
import { rebuildIndex } from '../api-server/collections/search-engine/fill-index.js';
import { readSearchConfig, readStorageConfig } from '../api-server/config.js';
import { openContentStore } from '../api-server/documents/content-store/open-content-store.js';
import { withDatabase } from './database.js';

export async function runReindex(id: string): Promise<void> {
  const client = createEngineClient(readSearchConfig(process.env).searchUrl);
  const content = openContentStore(readStorageConfig(process.env));
  try {
    const documents = await withDatabase(async ({ knex }) =>
      rebuildIndex({ knex, content, client }, await findCollection(knex, id)),
    );
    process.stdout.write(`${documents} documents of collection ${id} are in the search engine.\n`);
  } finally {
    await content.close();
  }
}
