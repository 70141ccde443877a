/** Searching a collection: how many documents match, a page of them, and how they are spread. */
import type { Knex } from 'knex';
import type { Parts } from '../parts.js';
import type { Collection } from './collections.js';
import { compileFacets, type Facet, type FacetWish } from './facets.js';
import { highlightsOf } from './highlights.js';
import { matchingDocuments, preferIndexes, searchableOf } from './matching.js';
import { compileQuery } from './query/compile-query.js';
import { MOST_RANKED, pageOf, readCursor, writeCursor, type Found, type Sort } from './search-order.js';

export interface Search {
  query: unknown;
  facets?: Record<string, FacetWish>;
  /** By default in the order of their refs, as in a docset made of the same query. */
  sort?: Sort;
  highlight?: boolean;
  limit?: number;
  cursor?: string;
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
  parts: Pick<Parts, 'knex' | 'content' | 'log'>,
  collection: Collection,
  { query, facets = {}, sort = 'ref', highlight = false, limit = DEFAULT_LIMIT, cursor }: Search,
): Promise<SearchResult> {
  const searchable = await searchableOf(parts.knex, collection);
  const compiled = compileQuery(query, searchable);
  const computeFacets = compileFacets(facets, searchable);
  const scope = { collection, query, sort };
  const after = cursor === undefined ? undefined : readCursor(scope, cursor);
  const found = await atOneMoment(parts.knex, async (trx) => {
    const matching = () => matchingDocuments(trx, collection, compiled);
    const count = await matching().count<{ count: string }[]>({ count: '*' }).first();
    const hits = Number(count?.count ?? 0);
    return {
      hits,
      page: limit === 0 ? [] : await pageOf(trx, matching(), compiled, { sort, after, limit, hits }),
      facets: await computeFacets(trx, matching, hits),
    };
  });
  const page = found.page.slice(0, limit);
  const last = found.page.length > limit ? page.at(-1) : undefined;
  const passages = highlight ? await highlightsOf(parts, page, compiled.marks, collection.language) : undefined;
  return {
    hits: found.hits,
    documents: page.map((document) => describe(document, sort, passages)),
    facets: found.facets,
    ...(sort === 'relevance' && { ranked: { candidates: Math.min(found.hits, MOST_RANKED), of: found.hits } }),
    ...(last !== undefined && { next: writeCursor(scope, last) }),
  };
}

/** What is counted, listed and spread are the same documents, whatever is ingested meanwhile. */
function atOneMoment<T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  const prepared = async (trx: Knex.Transaction) => {
    await preferIndexes(trx);
    return work(trx);
  };
  return knex.transaction(prepared, { isolationLevel: 'repeatable read', readOnly: true });
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
