/** Entries for tests of archives, and what comes out of the engine. */
import { crc32, deflateRawSync } from 'node:zlib';
import type { ArchiveEntry, StoredEntry } from '../../../packager/zip/entry.js';
import { writeZip, type ZipContents } from '../../../packager/zip/write-zip.js';

export const DATE = new Date('2026-11-22T01:00:00Z');

export function storedEntry(name: string, content: Buffer | string, method: 'deflate' | 'store'): StoredEntry {
  const bytes = Buffer.from(content);
  const data = method === 'deflate' ? deflateRawSync(bytes) : bytes;
  return { type: 'stored', name, method, size: bytes.length, stored: data.length, crc32: crc32(bytes), data };
}

/** The same, in pieces of a length. */
export function streamedEntry(entry: StoredEntry, pieceLength: number): StoredEntry {
  const data = entry.data as Buffer;
  const pieces: Buffer[] = [];
  for (let at = 0; at < data.length; at += pieceLength) pieces.push(data.subarray(at, at + pieceLength));
  return { ...entry, data: from(pieces) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- a source whose items are there already
export async function* from<T>(items: Iterable<T>): AsyncGenerator<T> {
  yield* items;
}

/** Batches of one. */
export async function* oneByOne<T>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T[]> {
  for await (const item of items) yield [item];
}

export async function* eachOf<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<T> {
  for await (const batch of batches) yield* batch;
}

export interface MadeZip {
  /** As they came, so that Buffers that came twice take their room once. */
  pieces: Buffer[];
  contents: ZipContents;
}

export async function makeZip(entries: Iterable<ArchiveEntry> | AsyncIterable<ArchiveEntry>): Promise<MadeZip> {
  let contents: ZipContents | undefined;
  const pieces: Buffer[] = [];
  for await (const piece of writeZip(oneByOne(entries), { date: DATE, onFinished: (found) => (contents = found) })) {
    pieces.push(piece);
  }
  if (contents === undefined) throw new Error('the zip has no end');
  return { pieces, contents };
}

export const zipOf = async (entries: Iterable<ArchiveEntry>): Promise<Buffer> =>
  Buffer.concat((await makeZip(entries)).pieces);
