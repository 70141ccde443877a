/** A real Elasticsearch. */
import { findSearchMake, startSearchNode, type SearchMake, type SearchNode } from './search-node.js';

const ELASTICSEARCH: SearchMake = {
  name: 'elasticsearch',
  title: 'Elasticsearch',
  prefix: 'es',
  package: 'org.elasticsearch',
  main: 'bootstrap.Elasticsearch',
};

export const findElasticsearch = (): string | undefined => findSearchMake(ELASTICSEARCH);

/** Resolves when it answers. */
export const startElasticsearch = (): Promise<SearchNode> => startSearchNode(ELASTICSEARCH);
