/** What tells a docset from an earlier one: documents that were added or changed, and those that were withdrawn. */
import type { Knex } from 'knex';
import type { Member } from './members.js';

/** In documents. */
export interface DeltaCounts {
  added: number;
  /** Of the same ref, and another version. */
  changed: number;
  withdrawn: number;
}

/** How docset `docset` differs from docset `since`. */
export async function countDelta(knex: Knex, docset: string, since: string): Promise<DeltaCounts> {
  const { rows } = await knex.raw<{ rows: [Record<keyof DeltaCounts, string>] }>(
    `select
       count(*) filter (where earlier.ref is null) as added,
       count(*) filter (where earlier.document_id <> later.document_id) as changed,
       count(*) filter (where later.ref is null) as withdrawn
     from (select ref, document_id from docset_members where docset_id = ?) as later
     full join (select ref, document_id from docset_members where docset_id = ?) as earlier on earlier.ref = later.ref`,
    [docset, since],
  );
  const [{ added, changed, withdrawn }] = rows;
  return { added: Number(added), changed: Number(changed), withdrawn: Number(withdrawn) };
}

/**
 * SQL that is true of a member `m` of a docset unless the docset `since` has the same version of it; of every member where there is
 * no `since`. Goes behind an `and`.
 */
export function isNew(since: string | undefined): { sql: string; bindings: string[] } {
  if (since === undefined) return { sql: 'true', bindings: [] };
  const sql = `not exists (
    select 1 from docset_members as earlier
    where earlier.docset_id = ? and earlier.ref = m.ref and earlier.document_id = m.document_id
  )`;
  return { sql, bindings: [since] };
}

const PAGE = 500;

/** What `since` has and `docset` has not, in the order of the UTF-8 bytes of their refs. */
export async function* pagesOfWithdrawn(knex: Knex, docset: string, since: string): AsyncGenerator<Member[]> {
  // No ref is empty.
  let after = '';
  for (;;) {
    const { rows } = await knex.raw<{ rows: Member[] }>(
      `select m.ref, d.id, d.title, d.creator, d.date
       from docset_members as m join documents as d on d.id = m.document_id
       where m.docset_id = ? and m.ref > ? and not exists (
         select 1 from docset_members as later where later.docset_id = ? and later.ref = m.ref
       )
       order by m.ref limit ?`,
      [since, after, docset, PAGE],
    );
    if (rows.length > 0) yield rows;
    if (rows.length < PAGE) return;
    after = rows.at(-1)?.ref ?? '';
  }
}
