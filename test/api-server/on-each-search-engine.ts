/** Runs a suite on every search engine: on each database, and on OpenSearch and Elasticsearch beside the embedded one. */
import { afterAll, beforeAll } from '@jest/globals';
import { describeOn, startElasticsearch, startOpenSearch, type SearchNode } from '../servers/index.js';
import { startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

/** Of made-up queries, so many are tried; on Elasticsearch fewer, since what it is asked is what OpenSearch is asked. */
const RUNS = { most: 1_000, elasticsearch: 100 };

export function onEachSearchEngine(suite: (start: () => Promise<FreshApiServer>, runs: number) => void): void {
  onEachDatabase((start) => suite(start, RUNS.most));
  onEachSearchServer((startEngine, runs) => {
    let engine: SearchNode;
    beforeAll(async () => {
      engine = await startEngine();
    }, 150_000);
    afterAll(() => engine.close());
    suite(() => startFreshApiServer(undefined, { SEARCH_URL: engine.url }), runs);
  });
}

/** Runs a suite on each search engine that is a server of its own. */
export function onEachSearchServer(suite: (start: () => Promise<SearchNode>, runs: number) => void): void {
  describeOn('opensearch', 'on OpenSearch', () => suite(startOpenSearch, RUNS.most));
  describeOn('elasticsearch', 'on Elasticsearch', () => suite(startElasticsearch, RUNS.elasticsearch));
}
