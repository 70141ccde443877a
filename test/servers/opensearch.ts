/** A real OpenSearch. */
import { findSearchMake, startSearchNode, type SearchMake, type SearchNode } from './search-node.js';

const OPENSEARCH: SearchMake = {
  name: 'opensearch',
  title: 'OpenSearch',
  prefix: 'opensearch',
  package: 'org.opensearch',
  main: 'bootstrap.OpenSearch',
};

export const findOpenSearch = (): string | undefined => findSearchMake(OPENSEARCH);

/** Resolves when it answers. */
export const startOpenSearch = (): Promise<SearchNode> => startSearchNode(OPENSEARCH);
