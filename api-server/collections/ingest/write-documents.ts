/** Writes a batch of documents in one transaction. A changed document is a new row, the old one stays for its docsets. */
import type { Knex } from 'knex';
import type { Collection } from '../collections.js';
import { SEARCHED_METADATA, WORDY } from '../query/match.js';
import type { PlacedDocument } from './draft-segments.js';

export interface Counts {
  added: number;
  changed: number;
  unchanged: number;
}

export interface IndexedDocument extends PlacedDocument {
  /** What the full text index gets to see. */
  text: string;
}

interface Current {
  id: string;
  ref: string;
  revision: number;
  digest: Buffer;
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
): Promise<Counts> {
  for (let tries = 1; ; tries++) {
    try {
      return await knex.transaction((trx) => writeOnce(trx, collection, segment, batch));
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
): Promise<Counts> {
  const current = await findCurrent(trx, collection.id, batch);
  const fresh = batch.filter((document) => current.get(document.ref)?.digest.equals(document.digest) !== true);
  const outdated = fresh.flatMap(({ ref }) => current.get(ref)?.id ?? []);
  if (fresh.length > 0) {
    if (outdated.length > 0) await trx('documents').whereIn('id', outdated).update({ current: false });
    const ids = await insertDocuments(trx, collection, fresh, current);
    await insertFiles(trx, segment, fresh, ids);
    await insertFormats(trx, collection.id, fresh);
    await insertFields(trx, collection.id, fresh);
    // Last, since it keeps other writers waiting until the end of the transaction.
    await trx('collections').where({ id: collection.id }).increment('revision', 1);
  }
  return {
    added: fresh.length - outdated.length,
    changed: outdated.length,
    unchanged: batch.length - fresh.length,
  };
}

/** PostgreSQL: unique violation, and deadlock detected. */
function isConflict(error: unknown): boolean {
  return (
    typeof error === 'object' && error !== null && 'code' in error && ['23505', '40P01'].includes(String(error.code))
  );
}

/** The documents with these refs as they are now, by ref. */
export async function findCurrent(
  knex: Knex,
  collection: string,
  batch: readonly { ref: string }[],
): Promise<Map<string, Current>> {
  const { rows } = await knex.raw<{ rows: Current[] }>(
    `select id, ref, revision, digest from documents
     where collection_id = ? and current and ref = any(?::text[])`,
    [collection, batch.map(({ ref }) => ref)],
  );
  return new Map(rows.map((row) => [row.ref, row]));
}

async function insertDocuments(
  trx: Knex,
  { id, language }: Collection,
  documents: IndexedDocument[],
  current: Map<string, Current>,
): Promise<Map<string, string>> {
  const rows = await trx('documents')
    .insert(
      documents.map(({ ref, title, creator, date, metadata, digest, heading, text }) => ({
        collection_id: id,
        ref,
        revision: (current.get(ref)?.revision ?? 0) + 1,
        current: true,
        digest,
        title,
        creator,
        date,
        metadata: JSON.stringify(metadata),
        ...vectors(trx, language, { heading, text, metadata }),
      })),
    )
    .returning<{ id: string; ref: string }[]>(['id', 'ref']);
  return new Map(rows.map((row) => [row.ref, row.id]));
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
  ids: Map<string, string>,
): Promise<void> {
  const rows = documents.flatMap(({ ref, files }) =>
    files.map((file) => ({ document: String(ids.get(ref)), ...file })),
  );
  const columns = [
    rows.map(({ document }) => document),
    rows.map(({ format }) => format),
    rows.map(({ mediaType }) => mediaType),
    rows.map(({ size }) => size),
    rows.map(({ sha256 }) => sha256),
    rows.map(({ offset }) => offset),
    rows.map(({ stored }) => stored.length),
    rows.map(({ method }) => method),
    rows.map(({ crc32 }) => crc32),
    rows.map(({ storedSha256 }) => storedSha256),
  ];
  await trx.raw(
    `insert into files (segment_id, document_id, format, media_type, size, sha256, "offset", stored_length, method, crc32,
       stored_sha256)
     select ?::bigint, * from unnest(?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[],
       ?::text[], ?::bigint[], ?::text[])`,
    [segment, ...columns],
  );
}

async function insertFormats(trx: Knex, collection: string, documents: IndexedDocument[]): Promise<void> {
  const formats = [...new Set(documents.flatMap(({ files }) => files.map(({ format }) => format)))].sort();
  await trx('collection_formats')
    .insert(formats.map((format) => ({ collection_id: collection, format })))
    .onConflict()
    .ignore();
}

async function insertFields(trx: Knex, collection: string, documents: IndexedDocument[]): Promise<void> {
  const fields = [...new Set(documents.flatMap(({ metadata }) => Object.keys(metadata)))].sort();
  await trx.raw(
    `insert into collection_fields (collection_id, field) select ?, unnest(?::text[]) on conflict do nothing`,
    [collection, fields],
  );
}
