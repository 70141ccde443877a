/** Says why a dump would hold nothing. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

/** @throws {ProblemError} `formats-not-in-docset`, with those that are */
export async function explainEmpty(knex: Knex, docset: { id: string }, formats: string[]): Promise<never> {
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
