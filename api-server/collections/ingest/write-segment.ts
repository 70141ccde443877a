/** Makes a segment durable, and then the rows that point into it. */
import { randomUUID } from 'node:crypto';
import { inflateRawSync } from 'node:zlib';
import type { Knex } from 'knex';
import pMap from 'p-map';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import type { Intake } from '../search-engine/search-engine.js';
import type { DraftSegment, PlacedDocument } from './draft-segments.js';
import type { IngestReport } from './ingest.js';
import { TEXT } from './read-document.js';
import { writeDocuments, type Counts, type IndexedDocument, type Written } from './write-documents.js';

/** Small enough that others on the embedded engine, which has one connection, wait for less than a second. */
const BATCH = { documents: 100, characters: 2 * 1024 * 1024 };
/** The text index costs most by far, and one connection keeps one of the database's cores busy. */
const WRITERS = 2;

const NONE: Readonly<Counts> = { added: 0, changed: 0, unchanged: 0 };

type SegmentParts = Pick<Parts, 'knex' | 'embedded' | 'content'> & { intake: Intake };

export async function writeSegment(
  { knex, embedded, content, intake }: SegmentParts,
  collection: Collection,
  { documents, pieces, size }: DraftSegment,
  report: IngestReport,
): Promise<Counts> {
  const key = `segments/${collection.id}/${randomUUID()}`;
  // The row comes first, so that an object without a row is surely nobody's.
  const [row] = await knex('segments')
    .insert({ collection_id: collection.id, key, size })
    .returning<{ id: string }[]>('id');
  if (row === undefined) throw new Error('the database returned no segment for the one it was given');
  const { id } = row;
  try {
    await content.write(key, pieces);
  } catch (error) {
    await knex('segments').where({ id }).delete();
    throw error;
  }
  await knex('segments').where({ id }).update({ sealed: knex.fn.now() });
  const writeBatch = async (batch: PlacedDocument[]): Promise<Counts> => {
    const written = await writeTolerantly(knex, collection, id, batch, report);
    await intake.offer(written.documents);
    return written.counts;
  };
  // Ids are given in the order in which the documents came.
  const inOrder = documents.toSorted((one, other) => one.line - other.line);
  const counts = await pMap(batchesOf(inOrder), writeBatch, { concurrency: embedded ? 1 : WRITERS });
  const sum = counts.reduce(addCounts, NONE);
  // All refused, or written by somebody else in the meantime.
  if (sum.added + sum.changed === 0 && (await deleteSegmentRow(knex, id))) await content.delete(key);
  return sum;
}

/** False where files point into it: it stays. */
async function deleteSegmentRow(knex: Knex, id: string): Promise<boolean> {
  const deleted = await knex('segments')
    .where({ id })
    .whereNotExists(knex('files').where({ segment_id: id }).select(knex.raw('1')))
    .delete();
  return deleted > 0;
}

export function addCounts(sum: Counts, { added, changed, unchanged }: Counts): Counts {
  return { added: sum.added + added, changed: sum.changed + changed, unchanged: sum.unchanged + unchanged };
}

function* batchesOf(documents: PlacedDocument[]): Generator<PlacedDocument[]> {
  let batch: PlacedDocument[] = [];
  let characters = 0;
  for (const document of documents) {
    batch.push(document);
    characters += document.heading.length + (textFile(document)?.size ?? document.abstract.length);
    if (batch.length < BATCH.documents && characters < BATCH.characters) continue;
    yield batch;
    batch = [];
    characters = 0;
  }
  if (batch.length > 0) yield batch;
}

const textFile = ({ files }: PlacedDocument) => files.find(({ format }) => format === TEXT);

/** Inflating it again is quick, and keeps the texts of a whole segment out of memory. */
function withText(document: PlacedDocument): IndexedDocument {
  const { heading, abstract } = document;
  const file = textFile(document);
  const content = (file?.method === 'deflate' ? inflateRawSync(file.stored) : file?.stored)?.toString('utf8');
  return { ...document, content, text: storable([heading, content ?? abstract].filter(Boolean).join('\n')) };
}

/** PostgreSQL's text has no U+0000; between words a space is as good. */
const storable = (text: string): string => (text.includes('\0') ? text.replaceAll('\0', ' ') : text);

async function writeTolerantly(
  knex: Knex,
  collection: Collection,
  segment: string,
  batch: PlacedDocument[],
  report: IngestReport,
): Promise<Written> {
  const documents = batch.map(withText);
  try {
    return await writeDocuments(knex, collection, segment, documents);
  } catch (error) {
    if (!isDocumentFault(error)) throw error;
  }
  // One of them is at fault: written one by one, it is the only one that stays behind.
  const all: Written = { counts: NONE, documents: [] };
  for (const document of documents) {
    const written = await writeOne(knex, collection, segment, document, report);
    all.counts = addCounts(all.counts, written.counts);
    all.documents.push(...written.documents);
  }
  return all;
}

async function writeOne(
  knex: Knex,
  collection: Collection,
  segment: string,
  document: IndexedDocument,
  report: IngestReport,
): Promise<Written> {
  const remark = { line: document.line, ref: document.ref };
  let { text } = document;
  for (;;) {
    try {
      const written = await writeDocuments(knex, collection, segment, [{ ...document, text }]);
      if (text.length < document.text.length && written.documents.length > 0) {
        const reason = `the index has the first ${text.length} of ${document.text.length} characters`;
        report.partly_indexed.push({ ...remark, reason });
      }
      return written;
    } catch (error) {
      if (!isDocumentFault(error)) throw error;
      if (error.code !== TOO_LARGE || text.length < 1_000) {
        report.refused.push({ ...remark, reason: error.message });
        return { counts: NONE, documents: [] };
      }
      // An index entry holds 1 MiB, which some books exceed: it is better to find them by their first half than not at all.
      text = text.slice(0, text.length / 2).toWellFormed();
    }
  }
}

/** PostgreSQL: program limit exceeded. */
const TOO_LARGE = '54000';

/** PostgreSQL: classes 22, data exception, and 54, program limit exceeded. Everything else is not the document's fault. */
function isDocumentFault(error: unknown): error is { code: string; message: string } {
  if (typeof error !== 'object' || error === null || !('code' in error)) return false;
  return typeof error.code === 'string' && /^(22|54)...$/.test(error.code);
}
