/** Searching a collection: how many documents match, and the first of them. */
import type { Knex } from 'knex';
import type { Collection } from './collections.js';
import { compileQuery } from './query/compile-query.js';

const DEFAULT_LIMIT = 10;

interface Found {
  id: string;
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
}

/** Documents come in the order of their refs, as in a docset made of the same query. */
export async function search(
  knex: Knex,
  collection: Collection,
  { query, limit = DEFAULT_LIMIT }: { query: unknown; limit?: number },
): Promise<{ hits: number; documents: object[] }> {
  const matching = () => matchingDocuments(knex, collection, query);
  const count = await matching().count<{ count: string }[]>({ count: '*' }).first();
  const found: Found[] =
    limit === 0 ? [] : await matching().orderBy('d.ref').limit(limit).select('id', 'ref', 'title', 'creator', 'date');
  return {
    hits: Number(count?.count ?? 0),
    documents: found.map(({ id, ...document }) => ({ url: `/documents/${id}`, id, ...document })),
  };
}

/** The current documents of a collection that match, as `d`. */
export function matchingDocuments(knex: Knex, { id, language }: Collection, query: unknown): Knex.QueryBuilder {
  const { sql, bindings } = compileQuery(query, language);
  return knex('documents as d')
    .where({ 'd.collection_id': id, 'd.current': true })
    .whereRaw(sql, [...bindings]);
}
