/** Writes a batch of documents in one transaction. A changed document is a new row, the old one stays for its docsets. */
import type { Knex } from 'knex';
import type { Collection } from '../collections.js';
import type { NewDocument } from './read-document.js';

export interface Counts {
  added: number;
  changed: number;
  unchanged: number;
}

interface Current {
  id: string;
  ref: string;
  revision: number;
  digest: Buffer;
}

/** The refs of a batch differ from each other. */
export async function writeDocuments(knex: Knex, collection: Collection, batch: NewDocument[]): Promise<Counts> {
  return knex.transaction(async (trx) => {
    // One writer at a time for a collection: two would both find a document missing.
    await trx('collections').where({ id: collection.id }).forUpdate().select('id');
    const current = await findCurrent(trx, collection.id, batch);
    const fresh = batch.filter((document) => current.get(document.ref)?.digest.equals(document.digest) !== true);
    const outdated = fresh.flatMap(({ ref }) => current.get(ref)?.id ?? []);
    if (fresh.length > 0) {
      await trx('documents').whereIn('id', outdated).update({ current: false });
      const ids = await insertDocuments(trx, collection, fresh, current);
      await insertFiles(trx, collection.id, fresh, ids);
      await trx('collections').where({ id: collection.id }).increment('revision', 1);
    }
    return {
      added: fresh.length - outdated.length,
      changed: outdated.length,
      unchanged: batch.length - fresh.length,
    };
  });
}

async function findCurrent(trx: Knex, collection: string, batch: NewDocument[]): Promise<Map<string, Current>> {
  const rows = await trx('documents')
    .where({ collection_id: collection, current: true })
    .whereIn(
      'ref',
      batch.map(({ ref }) => ref),
    )
    .select<Current[]>('id', 'ref', 'revision', 'digest');
  return new Map(rows.map((row) => [row.ref, row]));
}

async function insertDocuments(
  trx: Knex,
  { id, language }: Collection,
  documents: NewDocument[],
  current: Map<string, Current>,
): Promise<Map<string, string>> {
  const rows = await trx('documents')
    .insert(
      documents.map(({ ref, title, creator, date, metadata, digest, text }) => ({
        collection_id: id,
        ref,
        revision: (current.get(ref)?.revision ?? 0) + 1,
        current: true,
        digest,
        title,
        creator,
        date,
        metadata: JSON.stringify(metadata),
        tsv: trx.raw('to_tsvector(?::regconfig, ?)', [language, text]),
      })),
    )
    .returning<{ id: string; ref: string }[]>(['id', 'ref']);
  return new Map(rows.map((row) => [row.ref, row.id]));
}

async function insertFiles(
  trx: Knex,
  collection: string,
  documents: NewDocument[],
  ids: Map<string, string>,
): Promise<void> {
  const rows = documents.flatMap(({ ref, files }) =>
    files.map(({ format, mediaType, sha256, bytes }) => ({
      document_id: ids.get(ref),
      format,
      media_type: mediaType,
      size: bytes.length,
      sha256,
      bytes,
    })),
  );
  await trx('files').insert(rows);
  const formats = [...new Set(rows.map(({ format }) => format))];
  await trx('collection_formats')
    .insert(formats.map((format) => ({ collection_id: collection, format })))
    .onConflict()
    .ignore();
}
