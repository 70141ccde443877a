/**
 * Fills a collection from a stream of lines, one document each. What is there already is not written again, so an ingest
 * that broke off is simply sent again. A line that cannot be kept is refused with its reason, and the rest goes on.
 */
import type { Knex } from 'knex';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import { readLines, type Line } from './lines.js';
import { RefusedLineError, readDocument, type NewDocument } from './read-document.js';
import { writeDocuments, type Counts } from './write-documents.js';

export interface Remark {
  line: number;
  ref: string | null;
  reason: string;
}

export interface IngestReport extends Counts {
  refused: Remark[];
  /** Documents that are there whole, but whose full text index ends early. */
  partly_indexed: Remark[];
}

const LONGEST_LINE = 64 * 1024 * 1024;
const BATCH = { documents: 50, bytes: 8 * 1024 * 1024 };
/** From how many changed documents on the embedded engine's statistics are renewed: it never does that by itself. */
const WORTH_ANALYSING = 100;

export async function ingest(
  { knex, embedded, log }: Pick<Parts, 'knex' | 'embedded' | 'log'>,
  collection: Collection,
  body: AsyncIterable<Buffer>,
): Promise<IngestReport> {
  const report: IngestReport = { added: 0, changed: 0, unchanged: 0, refused: [], partly_indexed: [] };
  for await (const batch of readBatches(readLines(body, LONGEST_LINE), report)) {
    addCounts(report, await writeBatch(knex, collection, batch, report));
  }
  const { added, changed } = report;
  if (embedded && added + changed >= WORTH_ANALYSING) await knex.raw('vacuum analyze');
  log.info({ collection: collection.id, ...report, refused: report.refused.length }, 'ingested');
  return report;
}

async function* readBatches(lines: AsyncIterable<Line>, report: IngestReport): AsyncGenerator<NewDocument[]> {
  const seen = new Set<string>();
  let batch: NewDocument[] = [];
  let bytes = 0;
  for await (const line of lines) {
    const document = readLine(line, seen, report);
    if (document === undefined) continue;
    batch.push(document);
    bytes += document.files.reduce((sum, file) => sum + file.bytes.length, 0);
    if (batch.length >= BATCH.documents || bytes >= BATCH.bytes) {
      yield batch;
      batch = [];
      bytes = 0;
    }
  }
  if (batch.length > 0) yield batch;
}

function readLine(line: Line, seen: Set<string>, report: IngestReport): NewDocument | undefined {
  try {
    if ('fault' in line) throw new RefusedLineError(line.fault);
    const document = readDocument(line.text, line.number);
    if (seen.has(document.ref)) throw new RefusedLineError('another line before has the same ref', document.ref);
    seen.add(document.ref);
    return document;
  } catch (error) {
    if (!(error instanceof RefusedLineError)) throw error;
    report.refused.push({ line: line.number, ref: error.ref ?? null, reason: error.message });
    return undefined;
  }
}

async function writeBatch(
  knex: Knex,
  collection: Collection,
  batch: NewDocument[],
  report: IngestReport,
): Promise<Counts> {
  try {
    return await writeDocuments(knex, collection, batch);
  } catch (error) {
    if (!isDocumentFault(error)) throw error;
  }
  // One of them is at fault: written one by one, it is the only one that stays behind.
  const counts: Counts = { added: 0, changed: 0, unchanged: 0 };
  for (const document of batch) addCounts(counts, await writeOne(knex, collection, document, report));
  return counts;
}

async function writeOne(knex: Knex, collection: Collection, document: NewDocument, report: IngestReport) {
  const remark = { line: document.line, ref: document.ref };
  let { text } = document;
  for (;;) {
    try {
      const counts = await writeDocuments(knex, collection, [{ ...document, text }]);
      if (text.length < document.text.length && counts.unchanged === 0) {
        const reason = `the index has the first ${text.length} of ${document.text.length} characters`;
        report.partly_indexed.push({ ...remark, reason });
      }
      return counts;
    } catch (error) {
      if (!isDocumentFault(error)) throw error;
      if (error.code !== TOO_LARGE || text.length < 1_000) {
        report.refused.push({ ...remark, reason: error.message });
        return { added: 0, changed: 0, unchanged: 0 };
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

function addCounts(sum: Counts, { added, changed, unchanged }: Counts): void {
  sum.added += added;
  sum.changed += changed;
  sum.unchanged += unchanged;
}
