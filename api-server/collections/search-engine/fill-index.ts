/** Brings the index of a collection to its latest revision: from what has changed since, or from all that there is. */
import type { Knex } from 'knex';
import pMap from 'p-map';
import type { ContentStore } from '../../documents/content-store/content-store.js';
import { fromRow, selectFiles, type StoredFile } from '../../documents/documents.js';
import { readContent } from '../../documents/read-file.js';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import { TEXT } from '../ingest/read-document.js';
import { openBulk } from './bulk.js';
import { SearchEngineError, type EngineClient } from './engine-client.js';
import { INDEXED_COLUMNS, indexLayout, type IndexedRow } from './index-layout.js';
import { beginRevision, completeRevision, readState } from './index-revision.js';

type FillParts = Pick<Parts, 'knex' | 'content'> & {
  client: EngineClient;
  /** Ids of documents that the index has already. */
  taken?: ReadonlySet<string> | undefined;
};

/** Rows that are read at a time. */
const BATCH = 500;
const READS = 4;

/** @returns how many documents were written */
export async function fillIndex(parts: FillParts, collection: Pick<Collection, 'id' | 'language'>): Promise<number> {
  const { knex, client } = parts;
  const { id, language } = collection;
  const revision = await revisionOf(knex, id);
  const state = await readState(client, id);
  if (state?.complete !== undefined && state.complete >= revision) return 0;
  if (state === undefined) await createIndex(client, id, language);
  await beginRevision(client, id, revision, state?.base);
  const batches = state?.base === undefined ? everything(knex, id) : changes(knex, id, state.base, revision);
  let written = 0;
  for await (const { there, gone } of batches) {
    await writeBatch(parts, client.indexOf(id), there, gone);
    written += there.length;
  }
  await client.send('POST', `/${client.indexOf(id)}/_refresh`);
  await completeRevision(client, id, revision);
  // Others may have written while everything was read: what they wrote is taken in by them, or here.
  return written + (await fillIndex(parts, collection));
}

/** Makes the index anew. Until that is done, searches of the collection are refused. */
export async function rebuildIndex(parts: FillParts, collection: Pick<Collection, 'id' | 'language'>): Promise<number> {
  await parts.client.send('DELETE', `/${parts.client.indexOf(collection.id)}`, undefined, [404]);
  return fillIndex({ ...parts, taken: undefined }, collection);
}

export async function revisionOf(knex: Knex, collection: string): Promise<number> {
  const row = await knex('collections').where({ id: collection }).first<{ revision: string } | undefined>('revision');
  return Number(row?.revision ?? 0);
}

async function createIndex(client: EngineClient, collection: string, language: string): Promise<void> {
  try {
    await client.send('PUT', `/${client.indexOf(collection)}`, indexLayout(language));
  } catch (error) {
    // Another one of us was faster, or was ended before it noted how far it came.
    if (!(error instanceof SearchEngineError && error.message.includes('resource_already_exists'))) throw error;
  }
}

interface Batch {
  there: IndexedRow[];
  gone: string[];
}

async function* everything(knex: Knex, collection: string): AsyncGenerator<Batch> {
  for (let after = '0'; ;) {
    const there = await knex('documents')
      .where({ collection_id: collection, current: true })
      .where('id', '>', after)
      .orderBy('id')
      .limit(BATCH)
      .select<IndexedRow[]>([...INDEXED_COLUMNS]);
    if (there.length === 0) return;
    yield { there, gone: [] };
    after = there.at(-1)?.id ?? after;
  }
}

async function* changes(knex: Knex, collection: string, since: number, until: number): AsyncGenerator<Batch> {
  let after: [number | string, string] = [since + 1, ''];
  for (;;) {
    const rows = await knex('document_changes')
      .where({ collection_id: collection })
      .whereRaw('(revision, ref) > (?::bigint, ?)', after)
      .where('revision', '<=', until)
      .orderBy(['revision', 'ref'])
      .limit(BATCH)
      .select<{ revision: string; ref: string; document_id: string | null; replaced_id: string | null }[]>('*');
    const last = rows.at(-1);
    if (last === undefined) return;
    const ids = rows.flatMap(({ document_id }) => document_id ?? []);
    // Those that are no longer current are told of by a later change.
    const there = await knex('documents')
      .whereIn('id', ids)
      .where({ current: true })
      .select<IndexedRow[]>([...INDEXED_COLUMNS]);
    yield { there, gone: rows.flatMap(({ replaced_id }) => replaced_id ?? []) };
    after = [last.revision, last.ref];
  }
}

async function writeBatch(
  { knex, content, client, taken }: FillParts,
  index: string,
  there: readonly IndexedRow[],
  gone: readonly string[],
): Promise<void> {
  const missing = there.filter(({ id }) => taken?.has(id) !== true);
  const bulk = openBulk(client, index);
  for (const id of gone) await bulk.remove(id);
  const files = await textFilesOf(knex, missing);
  for (let start = 0; start < missing.length; start += READS) {
    const rows = missing.slice(start, start + READS);
    const texts = await readTexts(
      content,
      rows.flatMap(({ id }) => files.get(id) ?? []),
    );
    for (const row of rows) await bulk.add(row, texts.get(row.id));
  }
  await bulk.flush();
}

/** Of those that have one, by their ids. */
async function textFilesOf(knex: Knex, rows: readonly { id: string }[]): Promise<Map<string, StoredFile>> {
  const files = await selectFiles(knex)
    .whereIn(
      'f.document_id',
      rows.map(({ id }) => id),
    )
    .where('f.format', TEXT);
  return new Map(files.map(fromRow).map((file) => [file.document_id, file]));
}

async function readTexts(content: ContentStore, files: readonly StoredFile[]): Promise<Map<string, string>> {
  const texts = await pMap(files, async (file): Promise<[string, string]> => {
    const pieces: Buffer[] = [];
    for await (const piece of readContent(content, file, { start: 0, end: file.size })) pieces.push(piece);
    return [file.document_id, Buffer.concat(pieces).toString('utf8')];
  });
  return new Map(texts);
}
