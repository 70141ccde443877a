/** The bytes of a file, out of its segment, and never as if whole where they are not what was ingested. */
import { createHash } from 'node:crypto';
import { Readable, pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { createInflateRaw, inflateRaw } from 'node:zlib';
import type { ByteSpan, ContentStore } from './content-store/content-store.js';
import type { StoredFile } from './documents.js';

/** So many stored bytes are checked before the first of them goes out; of larger files the last piece waits for that. */
const CHECKED_FIRST = 4 * 1024 * 1024;

/** The bytes of a file are not those that were ingested. */
export class CorruptFileError extends Error {
  override readonly name = 'CorruptFileError';
  constructor({ document_id, format }: StoredFile) {
    super(`document ${document_id}, ${format}: the stored bytes are not those that were ingested`);
  }
}

/**
 * The bytes as they are stored, at the speed of the reader.
 * @throws {CorruptFileError} instead of the last piece; instead of the first where the file is not large
 */
export async function* readStored(content: ContentStore, file: StoredFile): AsyncGenerator<Buffer> {
  const { key, offset, stored_length } = file;
  const hash = createHash('sha256');
  let held: Buffer[] = [];
  for await (const piece of content.read(key, { start: offset, end: offset + stored_length })) {
    hash.update(piece);
    if (stored_length > CHECKED_FIRST) {
      yield* held;
      held = [];
    }
    held.push(piece);
  }
  if (hash.digest('hex') !== file.stored_sha256) throw new CorruptFileError(file);
  yield* held;
}

/** The content from `start` to before `end`, at the speed of the reader, with the same promise. */
export async function* readContent(content: ContentStore, file: StoredFile, span: ByteSpan): AsyncGenerator<Buffer> {
  let position = 0;
  let held: Buffer | undefined;
  // All of it is read whatever the span is: only the whole can be checked.
  for await (const piece of wholeContent(content, file)) {
    const start = Math.max(0, span.start - position);
    const end = Math.min(piece.length, span.end - position);
    position += piece.length;
    if (start >= end) continue;
    if (held !== undefined) yield held;
    held = piece.subarray(start, end);
  }
  if (position !== file.size) throw new CorruptFileError(file);
  if (held !== undefined) yield held;
}

function wholeContent(content: ContentStore, file: StoredFile): AsyncIterable<Buffer> {
  const stored = readStored(content, file);
  if (file.method === 'store') return stored;
  return file.stored_length > CHECKED_FIRST ? inflateStream(stored) : inflateOnce(stored);
}

async function* inflateOnce(stored: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stored) pieces.push(piece);
  yield await promisify<Buffer, Buffer>(inflateRaw)(Buffer.concat(pieces));
}

function inflateStream(stored: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  // The stream that is read throws what went wrong; there is nobody else to tell.
  return pipeline(Readable.from(stored), createInflateRaw(), () => undefined);
}

/** RFC 1952, section 2.3: no name, no time, and no system that would matter. */
const GZIP_HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
const GZIP_TRAILER = 8;

/** The content of a deflated file as gzip, made from its stored bytes as they are; with the same promise. */
export async function* readGzip(content: ContentStore, file: StoredFile): AsyncGenerator<Buffer> {
  let first = true;
  for await (const piece of readStored(content, file)) {
    if (first) yield GZIP_HEADER;
    first = false;
    yield piece;
  }
  const trailer = Buffer.alloc(GZIP_TRAILER);
  trailer.writeUInt32LE(file.crc32, 0);
  // "the size of the original (uncompressed) input data modulo 2^32"
  trailer.writeUInt32LE(file.size % 2 ** 32, 4);
  yield trailer;
}

export const gzipLength = ({ stored_length }: StoredFile): number => GZIP_HEADER.length + stored_length + GZIP_TRAILER;
