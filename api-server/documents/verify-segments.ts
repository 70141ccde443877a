/** Reads every segment back, and finds what is not as it was ingested and what nobody refers to. */
import { createHash } from 'node:crypto';
import { crc32, inflateRawSync } from 'node:zlib';
import type { Knex } from 'knex';
import type { Parts } from '../parts.js';
import { ContentMissingError, type ContentStore } from './content-store/content-store.js';
import { fromRow, selectFiles, type StoredFile } from './documents.js';
import type { Segment } from './segments.js';

export type Finding =
  | { type: 'corrupt'; document: string; ref: string; format: string; segment: string; reason: string }
  /** A segment that no file lies in. */
  | { type: 'orphan'; key: string; deleted: boolean };

export interface Verification {
  segments: number;
  files: number;
  /** Stored bytes that were read. */
  bytes: number;
  corrupt: number;
  orphans: number;
  /** Unfinished writes that were cleared away. */
  unfinished: number;
}

interface Options {
  /** Deletes orphans and what killed processes left. */
  sweep: boolean;
  onFinding: (finding: Finding) => void;
}

/** What an ingest has at work is no orphan, and none is at work on one segment for so long. Milliseconds. */
const AT_WORK = 60 * 60 * 1000;
const ROWS = 2_000;

export async function verifySegments(
  { knex, content }: Pick<Parts, 'knex' | 'content'>,
  { sweep, onFinding }: Options,
): Promise<Verification> {
  const found: Verification = { segments: 0, files: 0, bytes: 0, corrupt: 0, orphans: 0, unfinished: 0 };
  for await (const segment of allSegments(knex)) {
    found.segments += 1;
    for await (const { file, ref, reason } of checkedFiles({ knex, content }, segment)) {
      found.files += 1;
      found.bytes += file.stored_length;
      if (reason === undefined) continue;
      found.corrupt += 1;
      const { document_id: document, format } = file;
      onFinding({ type: 'corrupt', document, ref, format, segment: segment.key, reason });
    }
  }
  for await (const key of orphans({ knex, content }, new Date(Date.now() - AT_WORK))) {
    found.orphans += 1;
    const deleted = sweep && (await deleteOrphan({ knex, content }, key));
    onFinding({ type: 'orphan', key, deleted });
  }
  if (sweep) found.unfinished = await content.sweepUnfinished('segments/', new Date(Date.now() - AT_WORK));
  return found;
}

async function* allSegments(knex: Knex): AsyncGenerator<Segment> {
  let last = '0';
  for (;;) {
    const segment = await knex('segments')
      .where('id', '>', last)
      .whereNotNull('sealed')
      .orderBy('id')
      .first<(Segment & { size: string }) | undefined>('id', 'key', 'size');
    if (segment === undefined) return;
    yield { ...segment, size: Number(segment.size) };
    last = segment.id;
  }
}

/** Every file of a segment, with what is wrong with it. The object is read once, from its beginning to its end. */
async function* checkedFiles({ knex, content }: Pick<Parts, 'knex' | 'content'>, { id, key, size }: Segment) {
  const reader = readInOrder(content, key, size);
  try {
    for await (const { ref, ...file } of filesInOrder(knex, id)) {
      const stored = await reader.take(file.offset, file.stored_length);
      yield { file, ref, reason: stored === undefined ? 'its bytes are not there' : faultOf(file, stored) };
    }
  } finally {
    await reader.close();
  }
}

type FileOfSegment = StoredFile & { ref: string };

async function* filesInOrder(knex: Knex, segment: string): AsyncGenerator<FileOfSegment> {
  let after: FileOfSegment | undefined;
  for (;;) {
    const query = selectFiles(knex)
      .join('documents as d', 'd.id', 'f.document_id')
      .select('d.ref')
      .where('f.segment_id', segment)
      .orderBy(['f.offset', 'f.document_id', 'f.format'])
      .limit(ROWS);
    if (after !== undefined) {
      const { offset, document_id, format } = after;
      void query.whereRaw('(f."offset", f.document_id, f.format) > (?, ?, ?)', [offset, document_id, format]);
    }
    const rows = (await query) as (Record<keyof StoredFile, string> & { ref: string })[];
    for (const row of rows) {
      after = { ...fromRow(row), ref: row.ref };
      yield after;
    }
    if (rows.length < ROWS) return;
  }
}

/** One pass over an object: what is asked for lies behind what was asked for before. */
function readInOrder(content: ContentStore, key: string, size: number) {
  const pieces = content.read(key, { start: 0, end: size })[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  let position = 0;
  let missing = false;
  /** Makes `held` at least so long; false where the object ends before. */
  const fill = async (length: number): Promise<boolean> => {
    const parts: Buffer[] = [held];
    let sum = held.length;
    try {
      while (sum < length) {
        const next = await pieces.next();
        if (next.done === true) break;
        parts.push(next.value);
        sum += next.value.length;
      }
    } catch (error) {
      if (!(error instanceof ContentMissingError)) throw error;
      missing = true;
    }
    held = parts.length === 1 ? held : Buffer.concat(parts);
    return held.length >= length;
  };
  return {
    /** Undefined where the object has no such bytes. */
    async take(offset: number, length: number): Promise<Buffer | undefined> {
      const gap = offset - position;
      if (missing ? held.length < gap + length : !(await fill(gap + length))) return undefined;
      const taken = held.subarray(gap, gap + length);
      held = held.subarray(gap + length);
      position = offset + length;
      return taken;
    },
    async close(): Promise<void> {
      await pieces.return?.();
    },
  };
}

function faultOf(file: StoredFile, stored: Buffer): string | undefined {
  if (sha256(stored) !== file.stored_sha256) return 'its stored bytes are not those that were ingested';
  let content = stored;
  try {
    if (file.method === 'deflate') content = inflateRawSync(stored);
  } catch {
    return 'its stored bytes cannot be inflated';
  }
  const isRight = content.length === file.size && crc32(content) === file.crc32 && sha256(content) === file.sha256;
  return isRight ? undefined : 'its content is not what was ingested';
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

/** Keys of segments that no file lies in and that no ingest is at work on. */
async function* orphans({ knex, content }: Pick<Parts, 'knex' | 'content'>, before: Date): AsyncGenerator<string> {
  const collections = await knex('collections').orderBy('id').pluck<string[]>('id');
  for (const collection of collections) {
    const objects: string[] = [];
    for await (const { key, modified } of content.list(`segments/${collection}/`)) {
      if (modified < before) objects.push(key);
    }
    // Rows are looked up after the objects: an object that has none by now is nobody's, since its row came first.
    const known = new Set(await knex('segments').where({ collection_id: collection }).pluck<string[]>('key'));
    for (const key of objects) if (!known.has(key)) yield key;
    yield* await knex('segments as s')
      .where({ collection_id: collection })
      .where('created', '<', before)
      .whereNotExists(knex('files').whereRaw('files.segment_id = s.id').select(knex.raw('1')))
      .orderBy('id')
      .pluck<string[]>('key');
  }
}

/** The row goes first: an ingest that would still point into it fails then, rather than point at nothing. */
async function deleteOrphan({ knex, content }: Pick<Parts, 'knex' | 'content'>, key: string): Promise<boolean> {
  await knex('segments as s')
    .where({ key })
    .whereNotExists(knex('files').whereRaw('files.segment_id = s.id').select(knex.raw('1')))
    .delete();
  const row = await knex('segments').where({ key }).first<{ id: string } | undefined>('id');
  if (row !== undefined) return false;
  await content.delete(key);
  return true;
}
