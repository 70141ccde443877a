/** Makes a docset: its members are fixed at this moment, by one statement, however many there are. */
import type { Knex } from 'knex';
import { meantCollection, type Collection } from '../collections/collections.js';
import { compileFor } from '../collections/matching.js';
import type { SearchEngine } from '../collections/search-engine/search-engine.js';
import { ProblemError } from '../http/problems.js';
import type { Caller } from '../miners/caller.js';
import type { Parts } from '../parts.js';
import { findSources, insertCombined, type SetOperation } from './combine-docsets.js';
import type { Docset } from './docsets.js';
import { insertListed, insertUnknown, refuseUnknown, withNamedMembers, type NamedMember } from './named-members.js';

export interface DocsetFacts {
  name?: string | null;
  description?: string | null;
  /** May be left out where there is one collection only, or where other docsets name it. */
  collection?: string;
}

/** Where the members come from. */
export type Origin =
  | { type: 'query'; query: unknown }
  | {
      type: 'named';
      members: Iterable<NamedMember> | AsyncIterable<NamedMember>;
      /** What becomes of those that are no documents of the collection: nothing is made, or they are told of and left out. */
      unknown: 'refuse' | 'report';
    }
  | { type: 'combined'; how: SetOperation; docsets: readonly string[] };

/**
 * @returns the id of the docset
 * @throws {ProblemError} `docset-empty`, `members-…`, `query-not-supported`, `collection-…`, and what docsets that are not to be had
 * are answered with; then nothing was written
 */
export async function makeDocset(
  { knex, searchEngine }: Pick<Parts, 'knex' | 'searchEngine'>,
  caller: Caller,
  facts: DocsetFacts,
  origin: Origin,
): Promise<string> {
  switch (origin.type) {
    case 'query': {
      const collection = await meantCollection(knex, facts.collection);
      return inOneView(knex, async (trx) => {
        const id = await insertDocset(trx, caller, facts, await rowOfQuery(trx, collection, origin.query));
        return settle(trx, id, { members: await insertFound(trx, searchEngine, id, collection, origin.query) });
      });
    }
    case 'named': {
      const collection = await meantCollection(knex, facts.collection);
      return withNamedMembers(knex, origin.members, (list) =>
        inOneView(knex, (trx) => makeOfList(trx, caller, facts, collection, { list, unknown: origin.unknown })),
      );
    }
    case 'combined':
      return inOneView(knex, (trx) => makeCombined(trx, caller, facts, origin));
  }
}

/** All statements see the collection as it was at the first of them: the revision that is noted is that of the members. */
const inOneView = <T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> =>
  knex.transaction(work, { isolationLevel: 'repeatable read' });

interface DocsetRow {
  collection_id: string;
  collection_revision: string | number | null;
  query?: string;
  generator: string;
}

async function rowOfQuery(trx: Knex.Transaction, { id }: Collection, query: unknown): Promise<DocsetRow> {
  return {
    collection_id: id,
    collection_revision: await revisionOf(trx, id),
    query: JSON.stringify(query),
    generator: typeof query === 'string' ? query : JSON.stringify(query),
  };
}

async function makeOfList(
  trx: Knex.Transaction,
  caller: Caller,
  facts: DocsetFacts,
  collection: Collection,
  { list, unknown }: { list: string; unknown: 'refuse' | 'report' },
): Promise<string> {
  const collection_revision = await revisionOf(trx, collection.id);
  if (unknown === 'refuse') await refuseUnknown(trx, collection.id, list);
  const row = { collection_id: collection.id, collection_revision, generator: 'members' };
  const id = await insertDocset(trx, caller, facts, row);
  return settle(trx, id, {
    members: await insertListed(trx, id, collection.id, list),
    unknown: unknown === 'refuse' ? 0 : await insertUnknown(trx, id, collection.id, list),
  });
}

async function makeCombined(
  trx: Knex.Transaction,
  caller: Caller,
  { collection, ...facts }: DocsetFacts,
  { how, docsets }: Extract<Origin, { type: 'combined' }>,
): Promise<string> {
  const sources = await findSources(trx, docsets, caller);
  const { collection_id } = sources[0];
  if (collection !== undefined && collection !== collection_id) {
    throw new ProblemError(
      'collections-differ',
      `The docsets are of collection ${collection_id}, not of ${collection}.`,
    );
  }
  const generator = JSON.stringify({ [how]: how === 'copy' ? docsets[0] : docsets });
  const id = await insertDocset(trx, caller, facts, { collection_id, ...latest(sources), generator });
  return settle(trx, id, { members: await insertCombined(trx, id, how, sources) });
}

/** Of a copy that of its source; of a mixture the latest that it has members of. */
function latest(sources: readonly Docset[]): Pick<Docset, 'collection_revision'> {
  const known = sources.flatMap(({ collection_revision }) => collection_revision ?? []);
  return { collection_revision: known.length === 0 ? null : Math.max(...known) };
}

async function revisionOf(trx: Knex.Transaction, collection: string): Promise<string | null> {
  const row = await trx('collections').where({ id: collection }).first<{ revision: string } | undefined>('revision');
  return row?.revision ?? null;
}

async function insertDocset(
  trx: Knex.Transaction,
  caller: Caller,
  { name = null, description = null }: DocsetFacts,
  row: DocsetRow,
): Promise<string> {
  const [made] = await trx('docsets')
    .insert({ owner: caller.id, name, description, members: 0, ...row })
    .returning<{ id: string }[]>('id');
  if (made === undefined) throw new Error('the database returned no docset for the one it was given');
  return made.id;
}

async function insertFound(
  trx: Knex.Transaction,
  searchEngine: SearchEngine,
  docset: string,
  collection: Collection,
  query: unknown,
): Promise<number> {
  const compiled = await compileFor(trx, collection, query);
  const matching = await searchEngine.matching(trx, collection, compiled);
  const members = matching()
    .select(trx.raw('?::text', [docset]), 'd.ref', 'd.id')
    .toSQL();
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `insert into docset_members (docset_id, ref, document_id) ${members.sql}`,
    [...members.bindings],
  );
  return rowCount;
}

async function settle(
  trx: Knex.Transaction,
  id: string,
  counts: { members: number; unknown?: number },
): Promise<string> {
  if (counts.members === 0) throw new ProblemError('docset-empty');
  await trx('docsets').where({ id }).update(counts);
  return id;
}
