/** Docsets made of docsets: documents are the same where their refs are, and the newest of their versions is taken. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import type { Caller } from '../miners/caller.js';
import { ownDocset, type Docset } from './docsets.js';

export const SET_OPERATIONS = ['union', 'intersect', 'minus', 'copy'] as const;
export type SetOperation = (typeof SET_OPERATIONS)[number];

/**
 * The docsets of these ids, each once.
 * @throws {ProblemError} `docset-not-found`, `not-your-docset`, `collections-differ`
 */
export async function findSources(knex: Knex, ids: readonly string[], caller: Caller): Promise<[Docset, ...Docset[]]> {
  const [id = '', ...others] = new Set(ids);
  const first = await ownDocset(knex, id, caller);
  const sources: [Docset, ...Docset[]] = [first];
  for (const other of others) {
    const source = await ownDocset(knex, other, caller);
    if (source.collection_id !== first.collection_id) {
      throw new ProblemError(
        'collections-differ',
        `Docset ${first.id} is of collection ${first.collection_id}, and docset ${source.id} of ${source.collection_id}.`,
      );
    }
    sources.push(source);
  }
  return sources;
}

/** @returns how many members the docset has then */
export async function insertCombined(
  trx: Knex.Transaction,
  docset: string,
  how: SetOperation,
  sources: readonly Docset[],
): Promise<number> {
  const ids = sources.map(({ id }) => id);
  const { sql, bindings } = selectCombined(how, ids);
  const { rowCount } = await trx.raw<{ rowCount: number }>(
    `insert into docset_members (docset_id, ref, document_id) select ?, ref, document_id from (${sql}) as combined`,
    [docset, ...bindings],
  );
  return rowCount;
}

function selectCombined(how: SetOperation, ids: string[]): { sql: string; bindings: (string | string[] | number)[] } {
  const grouped =
    'select ref, max(document_id) as document_id from docset_members where docset_id = any(?) group by ref';
  switch (how) {
    case 'union':
    case 'copy':
      return { sql: grouped, bindings: [ids] };
    case 'intersect':
      return { sql: `${grouped} having count(*) = ?`, bindings: [ids, ids.length] };
    case 'minus': {
      const [first = '', ...others] = ids;
      const sql = `select ref, document_id from docset_members m where docset_id = ? and not exists (
        select 1 from docset_members o where o.docset_id = any(?) and o.ref = m.ref
      )`;
      return { sql, bindings: [first, others] };
    }
  }
}
