/** Writes a batch of documents in one transaction. A changed document is a new row, the old one stays for its docsets. */
import type { Knex } from 'knex';
import type { Collection } from '../collections.js';
import { SEARCHED_METADATA, WORDY } from '../query/match.js';
import { INDEXED_COLUMNS, type IndexedRow } from '../search-engine/index-layout.js';
import type { WrittenDocument } from '../search-engine/search-engine.js';
import type { PlacedDocument } from './draft-segments.js';
import { recordChanges, recordFields } from './record-changes.js';

export interface Counts {
  added: number;
  changed: number;
  unchanged: number;
}

export interface IndexedDocument extends PlacedDocument {
  /** What the full text index gets to see. */
  text: string;
  /** Its text as it is; undefined where it has none. */
  content: string | undefined;
}

export interface Written {
  counts: Counts;
  /** Those that were added or changed. */
  documents: WrittenDocument[];
}

/** The newest row with a ref. */
interface Latest {
  id: string;
  ref: string;
  revision: number;
  digest: Buffer;
  /** False where the document was withdrawn. */
  current: boolean;
}

const CONFLICT_TRIES = 5;

/**
 * The refs of a batch differ from each other. Two ingests may write the same document at the same time: the unique indexes
 * on documents let one of them through, and the other one looks again.
 */
export async function writeDocuments(
  knex: Knex,
  collection: Collection,
  segment: string,
  batch: IndexedDocument[],
): Promise<Written> {
  return inTurn(knex, (trx) => writeOnce(trx, collection, segment, batch));
}

/** Runs a transaction, and again where another writer of the same documents came first. */
export async function inTurn<T>(knex: Knex, work: (trx: Knex.Transaction) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await knex.transaction(work);
    } catch (error) {
      if (!isConflict(error) || tries === CONFLICT_TRIES) throw error;
    }
  }
}

async function writeOnce(
  trx: Knex,
  collection: Collection,
  segment: string,
  batch: IndexedDocument[],
): Promise<Written> {
  const latest = await findLatest(trx, collection.id, batch);
  const fresh = batch.filter((document) => !isThere(latest, document));
  if (fresh.length === 0) return { counts: { added: 0, changed: 0, unchanged: batch.length }, documents: [] };
  const replaced = await endCurrent(trx, fresh, latest);
  const rows = await insertDocuments(trx, collection, fresh, latest);
  await insertFiles(trx, segment, fresh, rows);
  const changes = fresh.map(({ ref }) => ({
    ref,
    document: rows.get(ref)?.id ?? null,
    replaced: replaced.get(ref) ?? null,
  }));
  // Last, since it keeps other writers waiting until the end of the transaction.
  await recordChanges(trx, collection.id, changes);
  await recordFields(
    trx,
    collection.id,
    fresh.map(({ metadata }) => metadata),
  );
  const changed = replaced.size;
  return {
    counts: { added: fresh.length - changed, changed, unchanged: batch.length - fresh.length },
    documents: fresh.flatMap(({ ref, content }) => {
      const row = rows.get(ref);
      return row === undefined ? [] : [{ row, content }];
    }),
  };
}

/** The ids of the rows that make room for new ones, by ref. Others may have ended some of them since they were found. */
async function endCurrent(
  trx: Knex,
  fresh: IndexedDocument[],
  latest: Map<string, Latest>,
): Promise<Map<string, string>> {
  const outdated = fresh.flatMap(({ ref }) => (latest.get(ref)?.current === true ? String(latest.get(ref)?.id) : []));
  if (outdated.length === 0) return new Map();
  const rows = await trx('documents')
    .whereIn('id', outdated)
    .where({ current: true })
    .update({ current: false })
    .returning<{ id: string; ref: string }[]>(['id', 'ref']);
  return new Map(rows.map(({ id, ref }) => [ref, id]));
}

/** PostgreSQL: unique violation, and deadlock detected. */
function isConflict(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && ['23505', '40P01'].includes(String(error.code))
  );
}

/** The newest row of each of these refs that was ever there. */
export async function findLatest(
  knex: Knex,
  collection: string,
  batch: readonly { ref: string }[],
): Promise<Map<string, Latest>> {
  const { rows } = await knex.raw<{ rows: Latest[] }>(
    `select distinct on (ref) id, ref, revision, digest, current from documents
     where collection_id = ? and ref = any(?::text[]) order by ref, revision desc`,
    [collection, batch.map(({ ref }) => ref)],
  );
  return new Map(rows.map((row) => [row.ref, row]));
}

/** True where exactly this document is current. */
export function isThere(latest: Map<string, Latest>, { ref, digest }: { ref: string; digest: Buffer }): boolean {
  const row = latest.get(ref);
  return row?.current === true && row.digest.equals(digest);
}

async function insertDocuments(
  trx: Knex,
  { id, language }: Collection,
  documents: IndexedDocument[],
  latest: Map<string, Latest>,
): Promise<Map<string, IndexedRow>> {
  const rows = await trx('documents')
    .insert(
      documents.map(({ ref, title, creator, date, metadata, digest, heading, text }) => ({
        collection_id: id,
        ref,
        revision: (latest.get(ref)?.revision ?? 0) + 1,
        current: true,
        digest,
        title,
        creator,
        date,
        metadata: JSON.stringify(metadata),
        ...vectors(trx, language, { heading, text, metadata }),
      })),
    )
    .returning<IndexedRow[]>([...INDEXED_COLUMNS]);
  return new Map(rows.map((row) => [row.ref, row]));
}

/** A word of the heading counts for more. Metadata that are too large have no vector, and are looked through by searches. */
function vectors(
  trx: Knex,
  language: string,
  { heading, text, metadata }: Pick<IndexedDocument, 'heading' | 'text' | 'metadata'>,
): Record<string, Knex.Raw> {
  const [head, rest] = [text.slice(0, heading.length), text.slice(heading.length)];
  return {
    tsv: trx.raw("setweight(to_tsvector(?::regconfig, ?), 'A') || to_tsvector(?::regconfig, ?)", [
      ...[language, head],
      ...[language, rest],
    ]),
    metadata_tsv: trx.raw(
      `(select case when length(given::text) <= ${SEARCHED_METADATA}
          then jsonb_to_tsvector(?::regconfig, given, '${WORDY}') end
        from (select ?::jsonb as given) as metadata)`,
      [language, JSON.stringify(metadata)],
    ),
  };
}

async function insertFiles(
  trx: Knex,
  segment: string,
  documents: IndexedDocument[],
  rows: ReadonlyMap<string, IndexedRow>,
): Promise<void> {
  const files = documents.flatMap((document) =>
    document.files.map((file) => ({ document: String(rows.get(document.ref)?.id), ...file })),
  );
  const columns = [
    files.map(({ document }) => document),
    files.map(({ format }) => format),
    files.map(({ mediaType }) => mediaType),
    files.map(({ size }) => size),
    files.map(({ sha256 }) => sha256),
    files.map(({ offset }) => offset),
    files.map(({ stored }) => stored.length),
    files.map(({ method }) => method),
    files.map(({ crc32 }) => crc32),
    files.map(({ storedSha256 }) => storedSha256),
  ];
  await trx.raw(
    `insert into files (segment_id, document_id, format, media_type, size, sha256, "offset", stored_length, method, crc32,
       stored_sha256)
     select ?::bigint, * from unnest(?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[],
       ?::text[], ?::bigint[], ?::text[])`,
    [segment, ...columns],
  );
}
