/**
 * Fills a collection from a stream of lines, one document each. What is there already is not written again, so an ingest
 * that broke off is simply sent again. A line that cannot be kept is refused with its reason, and the rest goes on.
 *
 * Lines are read while files are deflated, and the next segment fills while the rows of the last one are written.
 */
import type { Knex } from 'knex';
import { pMapIterable } from 'p-map';
import { isStorable } from '../../http/request-body.js';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import { checkerOf, type MetadataCheck } from '../metadata-schema.js';
import type { Intake } from '../search-engine/search-engine.js';
import { startDeflatePool, type DeflatePool } from './deflate-pool.js';
import { draftSegments, type PackedDocument } from './draft-segments.js';
import { readLines, type Line } from './lines.js';
import { RefusedLineError, readDocument, type NewDocument } from './read-document.js';
import { claimRefs, type IngestRun } from './runs.js';
import { findLatest, isThere, type Counts } from './write-documents.js';
import { addCounts, writeSegment } from './write-segment.js';

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

type IngestParts = Pick<Parts, 'knex' | 'embedded' | 'content' | 'log'> & { intake: Intake };

/** What a document has to be besides well formed. */
interface Terms {
  check: MetadataCheck;
  /** The run over a source that these documents are a part of: a ref comes once in all of it. */
  run?: IngestRun | undefined;
}

export async function ingest(
  parts: IngestParts,
  collection: Collection,
  body: AsyncIterable<Buffer>,
  run?: IngestRun,
): Promise<IngestReport> {
  const { knex, log } = parts;
  const report: IngestReport = { added: 0, changed: 0, unchanged: 0, refused: [], partly_indexed: [] };
  const terms = { check: collection.schema_given ? checkerOf(collection.schema) : () => undefined, run };
  const pool = startDeflatePool();
  try {
    const batches = readBatches(knex, readLines(body, LONGEST_LINE), terms, report);
    const packed = pMapIterable(batches, (batch) => packChanged({ knex, pool }, collection, batch, report), {
      concurrency: pool.size,
    });
    const written = pMapIterable(
      draftSegments(packed),
      (segment) => writeSegment(parts, collection, segment, report),
      // One is written while the next one fills.
      { concurrency: 1, backpressure: 2 },
    );
    for await (const counts of written) Object.assign(report, addCounts(report, counts));
  } finally {
    await pool.close();
  }
  // What belongs to a run is counted once, at its end.
  if (run === undefined) await renewStatistics(parts, report.added + report.changed);
  for (const remarks of [report.refused, report.partly_indexed]) remarks.sort((one, other) => one.line - other.line);
  log.info({ collection: collection.id, ...report, refused: report.refused.length }, 'ingested');
  return report;
}

/** @param changed how many documents changed */
export async function renewStatistics({ knex, embedded }: Pick<Parts, 'knex' | 'embedded'>, changed: number) {
  if (embedded && changed >= WORTH_ANALYSING) await knex.raw('vacuum analyze');
}

async function* readBatches(
  knex: Knex,
  lines: AsyncIterable<Line>,
  terms: Terms,
  report: IngestReport,
): AsyncGenerator<NewDocument[]> {
  const seen = new Set<string>();
  let batch: NewDocument[] = [];
  let bytes = 0;
  let broken: { error: unknown } | undefined;
  try {
    for await (const line of lines) {
      const document = readLine(line, seen, terms, report);
      if (document === undefined) continue;
      batch.push(document);
      bytes += document.files.reduce((sum, file) => sum + file.bytes.length, 0);
      if (batch.length < BATCH.documents && bytes < BATCH.bytes) continue;
      yield await claimed(knex, batch, terms, report);
      batch = [];
      bytes = 0;
    }
  } catch (error) {
    // The client went away: what came whole is kept.
    broken = { error };
  }
  if (batch.length > 0) yield await claimed(knex, batch, terms, report);
  if (terms.run !== undefined) await claimRefused(knex, terms.run, report);
  if (broken !== undefined) throw broken.error;
}

/** Leaves out what an earlier request of the same run had. */
async function claimed(knex: Knex, batch: NewDocument[], { run }: Terms, report: IngestReport): Promise<NewDocument[]> {
  if (run === undefined) return batch;
  const refs = await claimRefs(
    knex,
    run,
    batch.map(({ ref }) => ref),
  );
  const twice = batch.filter(({ ref }) => !refs.has(ref));
  report.refused.push(
    ...twice.map(({ line, ref }) => ({ line, ref, reason: 'another document of this run has the same ref' })),
  );
  return batch.filter(({ ref }) => refs.has(ref));
}

/** What is refused is in the source all the same: as it was before, it stays. */
async function claimRefused(knex: Knex, run: IngestRun, { refused }: IngestReport): Promise<void> {
  await claimRefs(
    knex,
    run,
    refused.flatMap(({ ref }) => (ref !== null && isStorable(ref) ? ref : [])),
  );
}

function readLine(line: Line, seen: Set<string>, { check }: Terms, report: IngestReport): NewDocument | undefined {
  try {
    if ('fault' in line) throw new RefusedLineError(line.fault);
    const document = readDocument(line.text, line.number);
    const { ref, metadata } = document;
    if (seen.has(ref)) throw new RefusedLineError('another line before has the same ref', ref);
    seen.add(ref);
    const fault = check(metadata);
    if (fault !== undefined) throw new RefusedLineError(fault, ref);
    return document;
  } catch (error) {
    if (!(error instanceof RefusedLineError)) throw error;
    report.refused.push({ line: line.number, ref: error.ref ?? null, reason: error.message });
    return undefined;
  }
}

/** Leaves out the documents that are there already, and packs the files of the others. */
async function packChanged(
  { knex, pool }: { knex: Knex; pool: DeflatePool },
  collection: Collection,
  batch: NewDocument[],
  report: IngestReport,
): Promise<PackedDocument[]> {
  const latest = await findLatest(knex, collection.id, batch);
  const fresh = batch.filter((document) => !isThere(latest, document));
  report.unchanged += batch.length - fresh.length;
  if (fresh.length === 0) return [];
  const files = await pool.deflate(fresh.flatMap((document) => document.files));
  let next = 0;
  return fresh.map((document) => ({ ...document, files: files.slice(next, (next += document.files.length)) }));
}
