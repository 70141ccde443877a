/** Members that a miner names, by the million: they wait in the database, not in memory, until all of them are there. */
import { randomUUID } from 'node:crypto';
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

export type NamedMember = { ref: string; id?: undefined } | { id: string; ref?: undefined };

/** How many members may be named. */
export const MOST_NAMED = 1_000_000;
const AT_A_TIME = 10_000;
const MOST_UNKNOWN_TOLD = 100;

/** As a search answers it, as the catalogue of an archive has it, or with its path alone. */
const DOCUMENT_URL = /^(?:https?:\/\/[^/]+)?(?:\/api)?\/documents\/([1-9]\d{0,17})$/;

/** What a text or a number names: a number is an id, a text a ref, unless it is the URL of a document. */
export function namedMember(name: string | number): NamedMember {
  const id = typeof name === 'number' ? String(name) : DOCUMENT_URL.exec(name)?.[1];
  return id === undefined ? { ref: String(name) } : { id };
}

export function* namedMembers(names: readonly (string | number)[]): Generator<NamedMember> {
  for (const name of names) yield namedMember(name);
}

/**
 * Writes the members down, calls `work` with the id of their list, and forgets them.
 * @throws {ProblemError} `members-too-many`, and whatever `members` and `work` throw
 */
export async function withNamedMembers<T>(
  knex: Knex,
  members: Iterable<NamedMember> | AsyncIterable<NamedMember>,
  work: (list: string) => Promise<T>,
): Promise<T> {
  await knex('named_members').whereRaw("named < now() - interval '1 day'").delete();
  const list = randomUUID();
  try {
    await writeDown(knex, list, members);
    return await work(list);
  } finally {
    // What cannot be deleted now is cleared away above, by a later list.
    await knex('named_members')
      .where({ list })
      .delete()
      .catch(() => undefined);
  }
}

async function writeDown(
  knex: Knex,
  list: string,
  members: Iterable<NamedMember> | AsyncIterable<NamedMember>,
): Promise<void> {
  let count = 0;
  let some: NamedMember[] = [];
  const write = async (): Promise<void> => {
    await knex.raw(
      `insert into named_members (list, ref, document_id)
        select ?::uuid, nullif(ref, ''), nullif(id, '')::bigint from unnest(?::text[], ?::text[]) as named (ref, id)`,
      [list, some.map(({ ref }) => ref ?? ''), some.map(({ id }) => id ?? '')],
    );
    some = [];
  };
  for await (const member of members) {
    count += 1;
    if (count > MOST_NAMED) {
      throw new ProblemError('members-too-many', `More than ${MOST_NAMED} members are named.`, { limit: MOST_NAMED });
    }
    some.push(member);
    if (some.length === AT_A_TIME) await write();
  }
  if (some.length > 0) await write();
}

/**
 * Puts the listed documents of a collection, as they are now, into a docset; one that is named twice is there once.
 * @returns how many there are
 */
export async function insertListed(
  trx: Knex.Transaction,
  docset: string,
  collection: string,
  list: string,
): Promise<number> {
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `insert into docset_members (docset_id, ref, document_id)
      select ?, d.ref, d.id from named_members n
        join documents d on d.collection_id = ? and d.current and d.ref = n.ref where n.list = ?
      union
      select ?, d.ref, d.id from named_members n
        join documents d on d.id = n.document_id where n.list = ? and d.collection_id = ? and d.current`,
    [docset, collection, list, docset, list, collection],
  );
  return rowCount;
}

/** Those listed that are no current documents of the collection, as they were named, each once. */
const SELECT_UNKNOWN = `select distinct coalesce(n.ref, '/documents/' || n.document_id) as member from named_members n
  where n.list = ? and not exists (
    select 1 from documents d where d.collection_id = ? and d.current and d.ref = n.ref
  ) and not exists (
    select 1 from documents d where d.id = n.document_id and d.collection_id = ? and d.current
  )`;

/** @throws {ProblemError} `members-unknown` where there are any */
export async function refuseUnknown(trx: Knex.Transaction, collection: string, list: string): Promise<void> {
  const { rows } = await trx.raw<{ rows: { member: string; total: string }[] }>(
    `select member, count(*) over () as total from (${SELECT_UNKNOWN}) as unknown order by member limit ?`,
    [list, collection, collection, MOST_UNKNOWN_TOLD],
  );
  const [first] = rows;
  if (first === undefined) return;
  throw new ProblemError(
    'members-unknown',
    `${first.total} of the members are not documents of collection ${collection}, the first is ${first.member}. With unknown=report the docset is made of the others.`,
    { unknown: rows.map(({ member }) => member) },
  );
}

/** Notes them with the docset. @returns how many there are */
export async function insertUnknown(
  trx: Knex.Transaction,
  docset: string,
  collection: string,
  list: string,
): Promise<number> {
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `insert into docset_unknown (docset_id, member) select ?, member from (${SELECT_UNKNOWN}) as unknown`,
    [docset, list, collection, collection],
  );
  return rowCount;
}

/** At most `limit` of them behind `after`, in the order of their UTF-8 bytes. */
export async function pageOfUnknown(
  knex: Knex,
  docset: string,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<{ member: string }[]> {
  return (
    knex('docset_unknown')
      .where({ docset_id: docset })
      // None is empty.
      .where('member', '>', after ?? '')
      .orderBy('member')
      .limit(limit)
      .select<{ member: string }[]>('member')
  );
}
