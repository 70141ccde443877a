/** Makes a docset: its members are fixed at this moment, by one statement, however many there are. */
import type { Knex } from 'knex';
import { meantCollection, type Collection } from '../collections/collections.js';
import { compileFor, matchingDocuments, preferIndexes } from '../collections/matching.js';
import { ProblemError } from '../http/problems.js';
import type { Caller } from '../miners/caller.js';

export interface NewDocset {
  name?: string | null;
  description?: string | null;
  /** May be left out where there is one collection only. */
  collection?: string;
  /** Either this… */
  query?: unknown;
  /** …or refs, ids of documents, or their URLs. */
  members?: (string | number)[];
}

const MOST_UNKNOWN_TOLD = 100;

/**
 * @returns the id of the docset
 * @throws {ProblemError} `docset-empty`, `members-unknown`, `query-not-supported`, `collection-…`; then nothing was written
 */
export async function makeDocset(knex: Knex, caller: Caller, wish: NewDocset): Promise<string> {
  const collection = await meantCollection(knex, wish.collection);
  return knex.transaction(async (trx) => {
    const id = await insertDocset(trx, caller, collection, wish);
    const members =
      wish.members === undefined
        ? await insertFound(trx, id, collection, wish.query)
        : await insertNamed(trx, id, collection, wish.members);
    if (members === 0) throw new ProblemError('docset-empty');
    await trx('docsets').where({ id }).update({ members });
    return id;
  });
}

async function insertDocset(trx: Knex, caller: Caller, collection: Collection, wish: NewDocset): Promise<string> {
  const [row] = await trx('docsets')
    .insert({
      owner: caller.id,
      name: wish.name ?? null,
      description: wish.description ?? null,
      collection_id: collection.id,
      query: wish.query === undefined ? null : JSON.stringify(wish.query),
      generator: wish.query === undefined ? 'members' : generatorOf(wish.query),
      members: 0,
    })
    .returning<{ id: string }[]>('id');
  if (row === undefined) throw new Error('the database returned no docset for the one it was given');
  return row.id;
}

const generatorOf = (query: unknown): string => (typeof query === 'string' ? query : JSON.stringify(query));

async function insertFound(
  trx: Knex.Transaction,
  docset: string,
  collection: Collection,
  query: unknown,
): Promise<number> {
  const compiled = await compileFor(trx, collection, query);
  await preferIndexes(trx);
  return insertMatching(trx, docset, matchingDocuments(trx, collection, compiled));
}

async function insertMatching(trx: Knex, docset: string, matching: Knex.QueryBuilder): Promise<number> {
  const members = matching.select(trx.raw('?::text', [docset]), 'd.ref', 'd.id').toSQL();
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `insert into docset_members (docset_id, ref, document_id) ${members.sql}`,
    [...members.bindings],
  );
  return rowCount;
}

/** A member that is named twice is there once: it is the same document. */
async function insertNamed(
  trx: Knex,
  docset: string,
  collection: Collection,
  members: (string | number)[],
): Promise<number> {
  const ids = new Set<string>();
  const refs = new Set<string>();
  for (const member of members) {
    const id = typeof member === 'number' ? String(member) : DOCUMENT_URL.exec(member)?.[1];
    if (id === undefined) refs.add(String(member));
    else ids.add(id);
  }
  const wanted = { ids: [...ids], refs: [...refs] };
  const matching = trx('documents as d')
    .where({ 'd.collection_id': collection.id, 'd.current': true })
    .whereRaw('(d.id = any(?::bigint[]) or d.ref = any(?::text[]))', [wanted.ids, wanted.refs]);
  await refuseUnknown(trx, collection, wanted);
  return insertMatching(trx, docset, matching);
}

/** As a search answers it, as the catalogue of an archive has it, or with its path alone. */
const DOCUMENT_URL = /^(?:https?:\/\/[^/]+)?(?:\/api)?\/documents\/([1-9]\d{0,17})$/;

async function refuseUnknown(trx: Knex, collection: Collection, wanted: { ids: string[]; refs: string[] }) {
  const { rows } = await trx.raw<{ rows: { member: string; total: string }[] }>(
    `select member, count(*) over () as total from (
      select '/documents/' || id as member from unnest(?::bigint[]) as id
        where not exists (select 1 from documents d where d.collection_id = ? and d.current and d.id = id.id)
      union all
      select ref from unnest(?::text[]) as ref
        where not exists (select 1 from documents d where d.collection_id = ? and d.current and d.ref = ref.ref)
    ) as unknown limit ?`,
    [wanted.ids, collection.id, wanted.refs, collection.id, MOST_UNKNOWN_TOLD],
  );
  const [first] = rows;
  if (first === undefined) return;
  throw new ProblemError(
    'members-unknown',
    `${first.total} of the members are not documents of collection ${collection.id}, the first is ${first.member}.`,
    { unknown: rows.map(({ member }) => member) },
  );
}
