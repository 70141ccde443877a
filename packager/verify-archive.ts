/** Reads a stored archive back: what is announced as complete was seen whole in the store (design §6). */
import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl';
import type { ArchiveStore, WrittenObject } from './archive-store/archive-store.js';
import type { ZipContents } from './bag/zip-writer.js';
import { JobFailedError } from './job/job-failure.js';

export interface VerifyOptions {
  signal: AbortSignal;
  /** Told about every piece that was read back. */
  onBytes: (bytes: number) => void;
}

/** @throws {JobFailedError} `archive-not-verified` */
export async function verifyArchive(
  store: ArchiveStore,
  key: string,
  expected: { written: WrittenObject; contents: ZipContents },
  options: VerifyOptions,
): Promise<void> {
  const stored = await digestOf(await store.read(key, undefined, options.signal), options);
  if (stored.size !== expected.written.size || stored.sha256 !== expected.written.sha256) {
    throw notVerified(
      `${stored.size} bytes with SHA-256 ${stored.sha256} are stored, not the ${expected.written.size} that were written`,
    );
  }
  const found = await readCentralDirectory(store, key, stored.size, options).catch((cause: unknown) => {
    if (options.signal.aborted) throw options.signal.reason;
    throw notVerified('its central directory cannot be read', cause);
  });
  if (found.entries !== expected.contents.entries || found.namesSha256 !== expected.contents.namesSha256) {
    throw notVerified(
      `its central directory lists ${found.entries} entries, and ${expected.contents.entries} were written`,
    );
  }
}

async function digestOf(stream: Readable, { onBytes }: VerifyOptions): Promise<WrittenObject> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of stream) {
    const bytes = piece as Buffer;
    hash.update(bytes);
    size += bytes.length;
    onBytes(bytes.length);
  }
  return { size, sha256: hash.digest('hex') };
}

async function readCentralDirectory(
  store: ArchiveStore,
  key: string,
  size: number,
  options: VerifyOptions,
): Promise<ZipContents> {
  const reader = createRangeReader(store, key, size, options);
  const zip = await fromRandomAccessReaderPromise(reader, size, { lazyEntries: true, strictFileNames: true });
  const names = createHash('sha256');
  let entries = 0;
  for await (const { fileName } of zip.eachEntry()) {
    names.update(`${fileName}\n`);
    entries += 1;
  }
  return { entries, namesSha256: names.digest('hex') };
}

/** yauzl reads each record of the directory by itself; ranges of this size keep that from being a request each. */
const WINDOW = 1024 * 1024;

function createRangeReader(store: ArchiveStore, key: string, size: number, { signal, onBytes }: VerifyOptions) {
  let window = { start: 0, bytes: Buffer.alloc(0) };

  const fill = async (position: number, length: number): Promise<void> => {
    const end = Math.min(size, position + Math.max(length, WINDOW)) - 1;
    const pieces: Buffer[] = [];
    for await (const piece of await store.read(key, { start: position, end }, signal)) {
      pieces.push(piece as Buffer);
      onBytes((piece as Buffer).length);
    }
    window = { start: position, bytes: Buffer.concat(pieces) };
  };
  const readInto = async (buffer: Buffer, offset: number, length: number, position: number): Promise<void> => {
    const isHeld = position >= window.start && position + length <= window.start + window.bytes.length;
    if (!isHeld) await fill(position, length);
    const from = position - window.start;
    if (window.bytes.copy(buffer, offset, from, from + length) < length)
      throw new RangeError('the archive ends too early');
  };

  return new (class extends RandomAccessReader {
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ) {
      readInto(buffer, offset, length, position).then(() => callback(null), callback);
    }

    /** Only entries' contents are read in this way, which the digest has covered. */
    override _readStreamForRange(start: number, end: number): Readable {
      const stream = new PassThrough();
      store
        .read(key, { start, end: end - 1 }, signal)
        .then((source) => pipeline(source, stream))
        .catch((error: unknown) => stream.destroy(error as Error));
      return stream;
    }
  })();
}

function notVerified(reason: string, cause?: unknown): JobFailedError {
  return new JobFailedError('archive-not-verified', `The archive could not be verified: ${reason}.`, { cause });
}
