/** Runs a suite on every search engine: on each database, and on OpenSearch beside the embedded one. */
import { afterAll, beforeAll } from '@jest/globals';
import { describeOn, startOpenSearch, type OpenSearch } from '../servers/index.js';
import { startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

export function onEachSearchEngine(suite: (start: () => Promise<FreshApiServer>) => void): void {
  onEachDatabase(suite);
  describeOn('opensearch', 'on OpenSearch', () => {
    let openSearch: OpenSearch;
    beforeAll(async () => {
      openSearch = await startOpenSearch();
    }, 150_000);
    afterAll(() => openSearch.close());
    suite(() => startFreshApiServer(undefined, { SEARCH_URL: openSearch.url }));
  });
}
