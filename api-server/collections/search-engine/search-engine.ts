/** The search engine port: what matches a query, counted, in order, and spread. The database is one; so is OpenSearch. */
import type { Knex } from 'knex';
import type { Collection } from '../collections.js';
import type { Facet, FacetWish, Matching } from '../facets.js';
import type { Compiled, Searchable } from '../query/query-node.js';
import type { Found, Position, Sort } from '../search-order.js';
import type { IndexedRow } from './index-layout.js';

export interface Wish {
  compiled: Compiled;
  searchable: Searchable;
  facets: Readonly<Record<string, FacetWish>>;
  sort: Sort;
  after: Position | undefined;
  /** How many are left out behind it. */
  skip: number;
  limit: number;
}

export interface Findings {
  hits: number;
  /** The documents of the page, and one more where there is a next page; none where the limit is 0. */
  page: Found[];
  facets: Record<string, Facet>;
  /** How many of the hits an order by relevance ranks. */
  ranked: number;
}

/**
 * All answers are of the current documents of the collection at its latest revision, or there is none. Every method throws
 * {@link ProblemError} `search-engine-unavailable` or `search-index-behind` where the engine cannot answer that.
 */
export interface SearchEngine {
  /** Hits, page and facets are of one moment. @throws {ProblemError} `query-not-supported` for facets */
  find(collection: Collection, wish: Wish): Promise<Findings>;
  /**
   * All documents that match, however many, as `d`.
   * @param trx one view of the database (repeatable read); the query is good until it ends
   */
  matching(trx: Knex.Transaction, collection: Collection, compiled: Compiled): Promise<Matching>;
  /** Begins an ingest into the collection. */
  openIntake(collection: Collection): Intake;
  /**
   * Takes in what was written to the collection.
   * @param intake what it was given already
   * @throws where it cannot; then searches of it are refused until it has
   */
  takeIn(collection: Collection, intake?: Intake): Promise<void>;
}

/** A document that was written, while its text is at hand. */
export interface WrittenDocument {
  row: IndexedRow;
  /** Undefined where it has none. */
  content: string | undefined;
}

/** Gets documents as they are written, so that their texts need not be read again. */
export interface Intake {
  /** Never fails: what the engine does not get now, it gets when it takes in all that was written. */
  offer(documents: readonly WrittenDocument[]): Promise<void>;
  /** Ids of the documents that the engine has. */
  readonly taken: ReadonlySet<string>;
}
