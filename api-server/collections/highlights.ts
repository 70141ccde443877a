/** Where in their texts documents have what was asked for. */
import type { Knex } from 'knex';
import pMap from 'p-map';
import { ContentMissingError } from '../documents/content-store/content-store.js';
import { fromRow, selectFiles, type StoredFile } from '../documents/documents.js';
import { CorruptFileError, readContent } from '../documents/read-file.js';
import type { Parts } from '../parts.js';
import { TEXT } from './ingest/read-document.js';
import { join, type Condition } from './query/query-node.js';

/** So much of a text is looked through, in bytes: it takes 10 ms for 40 kB. */
const LOOKED_THROUGH = 128 * 1024;
/** Other requests of the embedded engine, which has one connection, wait for so many texts. */
const AT_ONCE = 10;
const READS = 4;

// Characters for private use mark the words until everything else is escaped; a text that has them loses them.
const [START, STOP, GAP] = ['\ue000', '\ue001', '\ue002'];
const RESERVED = /[\0\ue000-\ue002]/gu;
const OPTIONS = `MaxFragments=3, MaxWords=30, MinWords=10, StartSel=${START}, StopSel=${STOP}, FragmentDelimiter=${GAP}`;

/**
 * Up to three passages of the text of each document, as HTML with the words in `<em>`. None where the text has none of the
 * words in what was looked through, or cannot be read.
 * @param marks tsqueries of the words
 */
export async function highlightsOf(
  { knex, content, log }: Pick<Parts, 'knex' | 'content' | 'log'>,
  documents: readonly { id: string }[],
  marks: readonly Condition[],
  language: string,
): Promise<Map<string, string[]>> {
  if (marks.length === 0 || documents.length === 0) return new Map();
  const ids = documents.map(({ id }) => id);
  const rows = await selectFiles(knex).whereIn('f.document_id', ids).where('f.format', TEXT);
  const texts = await pMap(rows.map(fromRow), (file) => readBeginning({ content, log }, file), { concurrency: READS });
  const passages = new Map<string, string[]>();
  for (let start = 0; start < texts.length; start += AT_ONCE) {
    const some = texts.slice(start, start + AT_ONCE);
    const headlines = await markAll(
      knex,
      some.map(({ text }) => text),
      marks,
      language,
    );
    for (const [index, headline] of headlines.entries()) passages.set(some[index]?.id ?? '', readHeadline(headline));
  }
  return passages;
}

async function readBeginning(
  { content, log }: Pick<Parts, 'content' | 'log'>,
  file: StoredFile,
): Promise<{ id: string; text: string }> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  const end = Math.min(file.size, LOOKED_THROUGH);
  try {
    for await (const piece of readContent(content, file, { start: 0, end })) {
      pieces.push(piece);
      bytes += piece.length;
      // The rest of a large file is not read only to check what is shown of it.
      if (bytes >= end) break;
    }
  } catch (error) {
    if (!(error instanceof CorruptFileError) && !(error instanceof ContentMissingError)) throw error;
    log.error({ err: error, document: file.document_id }, 'a text cannot be searched for highlights');
    return { id: file.document_id, text: '' };
  }
  return { id: file.document_id, text: Buffer.concat(pieces).toString('utf8').replace(RESERVED, ' ') };
}

async function markAll(knex: Knex, texts: string[], marks: readonly Condition[], language: string): Promise<string[]> {
  const query = join(marks, ' || ');
  const { rows } = await knex.raw<{ rows: { headline: string }[] }>(
    `select ts_headline(?::regconfig, given, ${query.sql}, ?) as headline
     from unnest(?::text[]) with ordinality as each (given, number) order by number`,
    [language, ...query.bindings, OPTIONS, texts],
  );
  return rows.map(({ headline }) => headline);
}

/** Without any mark it is only how the text begins. */
function readHeadline(headline: string): string[] {
  return headline
    .split(GAP)
    .filter((passage) => passage.includes(START))
    .map((passage) => escapeHtml(passage).replaceAll(START, '<em>').replaceAll(STOP, '</em>').trim());
}

const escapeHtml = (text: string): string =>
  text.replace(/[&<>"]/g, (character) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;' })[character] ?? '&quot;');
