/** Searching a collection: how many documents match, a page of them, and how they are spread. */
import type { Parts } from '../parts.js';
import type { Collection } from './collections.js';
import type { Facet, FacetWish } from './facets.js';
import { highlightsOf } from './highlights.js';
import { searchableOf } from './matching.js';
import { compileQuery } from './query/compile-query.js';
import { readCursor, writeCursor, type Found, type Sort } from './search-order.js';

export interface Search {
  query: unknown;
  facets?: Record<string, FacetWish>;
  /** By default in the order of their refs, as in a docset made of the same query. */
  sort?: Sort;
  highlight?: boolean;
  limit?: number;
  cursor?: string;
  /** How many documents are left out, from the beginning or from the cursor on. */
  skip?: number;
}

interface SearchResult {
  hits: number;
  documents: object[];
  facets: Record<string, Facet>;
  /** Of an order by relevance: how many documents were ranked, of how many hits. */
  ranked?: { candidates: number; of: number };
  /** Cursor of the next page. */
  next?: string;
}

const DEFAULT_LIMIT = 10;

/** @throws {ProblemError} `query-not-supported`, `cursor-invalid` */
export async function search(
  parts: Pick<Parts, 'knex' | 'content' | 'log' | 'searchEngine'>,
  collection: Collection,
  { query, facets = {}, sort = 'ref', highlight = false, limit = DEFAULT_LIMIT, cursor, skip = 0 }: Search,
): Promise<SearchResult> {
  const searchable = await searchableOf(parts.knex, collection);
  const compiled = compileQuery(query, searchable);
  const scope = { collection, query, sort };
  const after = cursor === undefined ? undefined : readCursor(scope, cursor);
  const found = await parts.searchEngine.find(collection, { compiled, searchable, facets, sort, after, skip, limit });
  const page = found.page.slice(0, limit);
  const last = found.page.length > limit ? page.at(-1) : undefined;
  const passages = highlight ? await highlightsOf(parts, page, compiled.marks, collection.language) : undefined;
  return {
    hits: found.hits,
    documents: page.map((document) => describe(document, sort, passages)),
    facets: found.facets,
    ...(sort === 'relevance' && { ranked: { candidates: found.ranked, of: found.hits } }),
    ...(last !== undefined && { next: writeCursor(scope, last) }),
  };
}

function describe(
  { id, ref, title, creator, date, sort_key }: Found,
  sort: Sort,
  passages: Map<string, string[]> | undefined,
): object {
  return {
    url: `/documents/${id}`,
    id,
    ref,
    title,
    creator,
    date,
    ...(sort === 'relevance' && { score: sort_key }),
    ...(passages !== undefined && { highlights: passages.get(id) ?? [] }),
  };
}
