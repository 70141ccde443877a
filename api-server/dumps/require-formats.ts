/** Refuses dumps that would hold nothing. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

/**
 * At least one member has to have one of the wanted formats; that others lack some is told in the archive's `omitted.csv`.
 * @throws {ProblemError} `formats-not-in-docset`, with those that are
 */
export async function requireFormats(knex: Knex, docset: { id: string }, formats: string[]): Promise<void> {
  const { rows } = await knex.raw<{ rows: object[] }>(
    `select 1 from docset_members as m join files as f on f.document_id = m.document_id
     where m.docset_id = ? and f.format = any(?::text[]) limit 1`,
    [docset.id, formats],
  );
  if (rows.length > 0) return;
  const found = await knex.raw<{ rows: { format: string }[] }>(
    `select distinct f.format from docset_members as m join files as f on f.document_id = m.document_id
     where m.docset_id = ? order by f.format`,
    [docset.id],
  );
  const known = found.rows.map(({ format }) => format);
  throw new ProblemError(
    'formats-not-in-docset',
    `No document of the docset has ${formats.join(' or ')}; there is ${known.join(', ')}.`,
    { formats: known },
  );
}
