/** Docsets: fixed lists of documents, each with an owner. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import type { Page } from '../http/paging.js';
import type { Caller } from '../miners/caller.js';

export interface Docset {
  id: string;
  /** Id of the miner who made it. */
  owner: string;
  owner_name: string | null;
  name: string | null;
  description: string | null;
  collection_id: string;
  query: unknown;
  /** The query as text, or what else the docset was made from. */
  generator: string;
  revision: number;
  /** The collection's revision of the moment at which the members were fixed; null: not known. */
  collection_revision: number | null;
  /** How many documents it has. */
  members: number;
  /** How many of those that were named are no documents of the collection. */
  unknown: number;
  created: Date;
  updated: Date;
  deleted: Date | null;
}

// bigint columns come as text.
type Row = Omit<Docset, 'members' | 'unknown' | 'collection_revision'> & {
  members: string;
  unknown: string;
  collection_revision: string | null;
};

const selectDocsets = (knex: Knex) =>
  knex('docsets as s')
    .leftJoin('miners as m', knex.raw('m.id::text = s.owner'))
    .select<Row[]>('s.*', 'm.name as owner_name');

const fromRow = (row: Row): Docset => ({
  ...row,
  members: Number(row.members),
  unknown: Number(row.unknown),
  collection_revision: row.collection_revision === null ? null : Number(row.collection_revision),
});

/**
 * A docset by its id, whoever owns it.
 * @throws {ProblemError} `docset-not-found`, for a deleted one too
 */
export async function findDocset(knex: Knex, id: string): Promise<Docset> {
  return present(await findEvenDeleted(knex, id), id);
}

function present<T extends Pick<Docset, 'deleted'>>(docset: T | undefined, id: string): T {
  if (docset?.deleted !== null) throw new ProblemError('docset-not-found', `There is no docset ${id}.`);
  return docset;
}

function own<T extends Pick<Docset, 'owner'>>(docset: T, caller: Caller): T {
  if (docset.owner !== caller.id) throw new ProblemError('not-your-docset');
  return docset;
}

/** A docset by its id; one that was deleted has no members any more. */
export async function findEvenDeleted(knex: Knex, id: string): Promise<Docset | undefined> {
  const [row] = await selectDocsets(knex).where('s.id', id);
  return row === undefined ? undefined : fromRow(row);
}

/** @throws {ProblemError} `docset-not-found`, `not-your-docset` */
export async function ownDocset(knex: Knex, id: string, caller: Caller): Promise<Docset> {
  return own(await findDocset(knex, id), caller);
}

/** What others need to know of a docset to work on it. */
export type DocsetFacts = Pick<Docset, 'id' | 'owner' | 'collection_id' | 'revision' | 'members' | 'deleted'>;

/** The facts as columns of a larger statement over `docsets as s`; {@link ownDocsetOf} reads its row. */
export const DOCSET_FACTS = {
  'docset.id': 's.id',
  'docset.owner': 's.owner',
  'docset.collection_id': 's.collection_id',
  'docset.revision': 's.revision',
  'docset.members': 's.members',
  'docset.deleted': 's.deleted',
} satisfies Record<`docset.${keyof DocsetFacts}`, `s.${keyof DocsetFacts}`>;

/** Null throughout: there is no such docset. */
export interface DocsetFactsRow {
  'docset.id': string | null;
  'docset.owner': string;
  'docset.collection_id': string;
  'docset.revision': number;
  /** A bigint, which comes as text. */
  'docset.members': string;
  'docset.deleted': Date | null;
}

/** @throws {ProblemError} `docset-not-found`, `not-your-docset` */
export function ownDocsetOf(row: DocsetFactsRow | undefined, id: string, caller: Caller): DocsetFacts {
  return own(present(row && factsOf(row), id), caller);
}

const factsOf = (row: DocsetFactsRow): DocsetFacts | undefined =>
  row['docset.id'] === null
    ? undefined
    : {
        id: row['docset.id'],
        owner: row['docset.owner'],
        collection_id: row['docset.collection_id'],
        revision: row['docset.revision'],
        members: Number(row['docset.members']),
        deleted: row['docset.deleted'],
      };

/** A miner's docsets, oldest first. */
export async function listDocsets(knex: Knex, owner: string, { limit, after }: Page): Promise<Docset[]> {
  const query = selectDocsets(knex).where({ 's.owner': owner, 's.deleted': null }).orderBy('s.number').limit(limit);
  if (after !== undefined) void query.whereRaw('s.number > ?::bigint', [after]);
  return (await query).map(fromRow);
}

/** What has changed is a new revision: the listing that packagers read tells name and description too. */
export async function renameDocset(
  knex: Knex,
  id: string,
  change: { name?: string | null; description?: string | null },
): Promise<void> {
  const columns = (['name', 'description'] as const).filter((column) => change[column] !== undefined);
  if (columns.length === 0) return;
  await knex('docsets')
    .where({ id })
    .whereRaw(
      // In parentheses, or the condition before it would hold for the first of them only.
      `(${columns.map((column) => `${column} is distinct from ?`).join(' or ')})`,
      columns.map((column) => change[column] ?? null),
    )
    .update({ ...change, revision: knex.raw('revision + 1'), updated: knex.fn.now() });
}

/** The row stays, so that dumps may go on referring to it; the members go. */
export async function deleteDocset(knex: Knex, id: string): Promise<void> {
  await knex.transaction(async (trx) => {
    await trx('docsets').where({ id }).update({ deleted: trx.fn.now() });
    await trx('docset_members').where({ docset_id: id }).delete();
    await trx('docset_unknown').where({ docset_id: id }).delete();
  });
}
