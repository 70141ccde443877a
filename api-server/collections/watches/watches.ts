/** Watches: saved queries that know what their owners have seen. Nothing looks at them between requests. */
import type { Knex } from 'knex';
import type { Page } from '../../http/paging.js';
import { ProblemError } from '../../http/problems.js';
import type { Caller } from '../../miners/caller.js';
import type { Collection } from '../collections.js';
import { compileFor } from '../matching.js';

export interface Watch {
  id: string;
  /** Id of the miner. */
  owner: string;
  collection_id: string;
  name: string | null;
  query: unknown;
  /** Revision of the collection up to which the owner knows what matches. */
  since: number;
  created: Date;
}

export interface NewWatch {
  name?: string | null;
  query: unknown;
}

export interface WatchChange {
  name?: string | null;
  since?: number;
}

// bigint columns come as text.
type Row = Omit<Watch, 'since'> & { since: string };

const fromRow = (row: Row): Watch => ({ ...row, since: Number(row.since) });

/** The owner has seen what there is now. @throws {ProblemError} `query-not-supported` */
export async function makeWatch(knex: Knex, caller: Caller, collection: Collection, wish: NewWatch): Promise<Watch> {
  await compileFor(knex, collection, wish.query);
  const [row] = await knex('watches')
    .insert({
      owner: caller.id,
      collection_id: collection.id,
      name: wish.name ?? null,
      query: JSON.stringify(wish.query),
      since: collection.revision,
    })
    .returning<Row[]>('*');
  if (row === undefined) throw new Error('the database returned no watch for the one it was given');
  return fromRow(row);
}

/** @throws {ProblemError} `watch-not-found`, `not-your-watch` */
export async function ownWatch(knex: Knex, id: string, caller: Caller): Promise<Watch> {
  const row = await knex('watches').where({ id }).first<Row | undefined>('*');
  if (row === undefined) throw new ProblemError('watch-not-found', `There is no watch ${id}.`);
  if (row.owner !== caller.id) throw new ProblemError('not-your-watch');
  return fromRow(row);
}

/** A miner's watches of a collection, oldest first. */
export async function listWatches(
  knex: Knex,
  owner: string,
  collection: Collection,
  { limit, after }: Page,
): Promise<Watch[]> {
  const query = knex('watches').where({ owner, collection_id: collection.id }).orderBy('number').limit(limit);
  if (after !== undefined) void query.whereRaw('number > ?::bigint', [after]);
  return (await query.select<Row[]>('*')).map(fromRow);
}

/** @throws {ProblemError} `request-invalid` for a revision that there is not yet */
export async function changeWatch(
  knex: Knex,
  watch: Watch,
  collection: Collection,
  { name = watch.name, since = watch.since }: WatchChange,
): Promise<Watch> {
  if (since > Number(collection.revision)) {
    const detail = `is more than the revision of the collection, ${collection.revision}`;
    throw new ProblemError('request-invalid', `since ${detail}.`, { errors: [{ pointer: '/since', detail }] });
  }
  await knex('watches').where({ id: watch.id }).update({ name, since });
  return { ...watch, name, since };
}

export async function deleteWatch(knex: Knex, { id }: Watch): Promise<void> {
  await knex('watches').where({ id }).delete();
}
