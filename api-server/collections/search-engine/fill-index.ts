/** Brings the index of a collection to its latest revision: from what has changed since, or from all that there is. */
import type { Knex } from 'knex';
import pMap from 'p-map';
import type { ContentStore } from '../../documents/content-store/content-store.js';
import { fromRow, selectFiles, type StoredFile } from '../../documents/documents.js';
import { readContent } from '../../documents/read-file.js';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import { TEXT } from '../ingest/read-document.js';
import { SearchEngineError, type EngineClient } from './engine-client.js';
import { entryOf, indexLayout, type IndexedRow } from './index-layout.js';
import { beginRevision, completeRevision, readState } from './index-revision.js';

type FillParts = Pick<Parts, 'knex' | 'content'> & { client: EngineClient };

/** Rows that are read at a time. */
const BATCH = 500;
/** Bytes that are sent at a time, but for one document that is larger. */
const LARGEST_BULK = 8 * 1024 * 1024;
const READS = 4;
/** A document never changes, and one that is gone never comes back: its deletion wins whatever comes first. */
const VERSIONS = { there: 1, gone: 2 };

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
  return fillIndex(parts, collection);
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

const COLUMNS = ['id', 'ref', 'title', 'creator', 'date', 'year', 'metadata'];

async function* everything(knex: Knex, collection: string): AsyncGenerator<Batch> {
  for (let after = '0'; ;) {
    const there = await knex('documents')
      .where({ collection_id: collection, current: true })
      .where('id', '>', after)
      .orderBy('id')
      .limit(BATCH)
      .select<IndexedRow[]>(COLUMNS);
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
    const there = await knex('documents').whereIn('id', ids).where({ current: true }).select<IndexedRow[]>(COLUMNS);
    yield { there, gone: rows.flatMap(({ replaced_id }) => replaced_id ?? []) };
    after = [last.revision, last.ref];
  }
}

async function writeBatch(parts: FillParts, index: string, there: readonly IndexedRow[], gone: readonly string[]) {
  let lines: string[] = gone.map((id) => `${action('delete', id, VERSIONS.gone)}\n`);
  let size = 0;
  const flush = async (): Promise<void> => {
    if (lines.length > 0) await sendBulk(parts.client, index, lines.join(''));
    [lines, size] = [[], 0];
  };
  const files = await textFilesOf(parts.knex, there);
  for (let start = 0; start < there.length; start += READS) {
    const rows = there.slice(start, start + READS);
    const texts = await readTexts(
      parts.content,
      rows.flatMap(({ id }) => files.get(id) ?? []),
    );
    for (const row of rows) {
      const line = `${action('index', row.id, VERSIONS.there)}\n${JSON.stringify(entryOf(row, texts.get(row.id)))}\n`;
      if (size > 0 && size + line.length > LARGEST_BULK) await flush();
      lines.push(line);
      size += line.length;
    }
  }
  await flush();
}

const action = (what: 'index' | 'delete', id: string, version: number): string =>
  JSON.stringify({ [what]: { _id: id, version, version_type: 'external_gte' } });

type Item = Record<string, { _id: string; status: number; error?: { reason?: string } }>;

async function sendBulk(client: EngineClient, index: string, lines: string): Promise<void> {
  const answer = await client.send<{ errors: boolean; items: Item[] }>('POST', `/${index}/_bulk`, lines);
  if (answer?.errors !== true) return;
  for (const { _id, status, error } of answer.items.flatMap((item) => Object.values(item))) {
    // 409: it is gone already. 404: it was never there, and now cannot come any more.
    if (status < 300 || status === 409 || status === 404) continue;
    throw new SearchEngineError(`document ${_id} was answered ${status}: ${error?.reason ?? 'no reason'}`, status);
  }
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
