/** The documents of a collection that match a query: for a search, and for a docset made of it. */
import type { Knex } from 'knex';
import { fieldsOf, type Collection } from './collections.js';
import { compileQuery } from './query/compile-query.js';
import type { Compiled, Searchable } from './query/query-node.js';

export async function searchableOf(knex: Knex, collection: Collection): Promise<Searchable> {
  return { language: collection.language, ...(await fieldsOf(knex, collection)) };
}

/** @throws {ProblemError} `query-not-supported` */
export async function compileFor(knex: Knex, collection: Collection, query: unknown): Promise<Compiled> {
  return compileQuery(query, await searchableOf(knex, collection));
}

/** The current documents of a collection that match, as `d`. */
export function matchingDocuments(knex: Knex, { id }: Collection, { sql, bindings }: Compiled): Knex.QueryBuilder {
  return knex('documents as d')
    .where({ 'd.collection_id': id, 'd.current': true })
    .whereRaw(sql, [...bindings]);
}

/**
 * For the transaction in which documents are matched. The planner takes it for cheap to look at the words of all documents one
 * after the other, which are large and compressed, where the index knows the answer; and compiling takes longer than running.
 */
export async function preferIndexes(trx: Knex.Transaction): Promise<void> {
  await trx.raw('set local enable_seqscan to off; set local jit to off');
}
