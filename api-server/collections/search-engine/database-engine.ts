/** The database as search engine: its indexes are written with the documents, so there is nothing to take in. */
import type { Knex } from 'knex';
import { compileFacets } from '../facets.js';
import { matchingDocuments, preferIndexes } from '../matching.js';
import { MOST_RANKED, pageOf } from '../search-order.js';
import type { SearchEngine } from './search-engine.js';

export function databaseEngine(knex: Knex): SearchEngine {
  return {
    async find(collection, { compiled, searchable, facets, sort, after, skip, limit }) {
      const computeFacets = compileFacets(facets, searchable);
      return atOneMoment(knex, async (trx) => {
        const matching = () => matchingDocuments(trx, collection, compiled);
        const count = await matching().count<{ count: string }[]>({ count: '*' }).first();
        const hits = Number(count?.count ?? 0);
        return {
          hits,
          page: limit === 0 ? [] : await pageOf(trx, matching(), compiled, { sort, after, skip, limit, hits }),
          facets: await computeFacets(trx, matching, hits),
          ranked: Math.min(hits, MOST_RANKED),
        };
      });
    },
    async matching(trx, collection, compiled) {
      await preferIndexes(trx);
      return () => matchingDocuments(trx, collection, compiled);
    },
    openIntake: () => ({ offer: () => Promise.resolve(), taken: new Set() }),
    takeIn: () => Promise.resolve(),
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
