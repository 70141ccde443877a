/** Looks at what was stored: what is announced as complete was seen whole in the store (design §6). */
import { createHash } from 'node:crypto';
import { PassThrough, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pRetry from 'p-retry';
import { fromRandomAccessReaderPromise, RandomAccessReader } from 'yauzl';
import {
  ObjectMissingError,
  StoreUnavailableError,
  type ArchiveStore,
  type ByteRange,
  type WrittenObject,
} from './archive-store/archive-store.js';
import { JobFailedError } from './job/job-failure.js';
import type { ZipContents } from './zip/write-zip.js';

export interface VerifyOptions {
  signal: AbortSignal;
  /** Told about every piece that was read back. */
  onBytes: (bytes: number) => void;
}

/**
 * Reads all of it back, unless the store has confirmed every byte, and finds a zip's directory as any reader would.
 * @param contents of a zip; undefined: the archive is of another kind
 * @throws {JobFailedError} `archive-not-verified`
 * @throws {StoreUnavailableError} it cannot be read, whatever is in it
 */
export async function verifyArchive(
  store: ArchiveStore,
  key: string,
  written: WrittenObject,
  contents: ZipContents | undefined,
  options: VerifyOptions,
): Promise<void> {
  const stored = written.confirmed === true ? await sizeOf(store, key) : await readBack(store, key, undefined, options);
  if (stored.size !== written.size || (stored.sha256 ?? written.sha256) !== written.sha256) {
    const digest = stored.sha256 === undefined ? '' : ` with SHA-256 ${stored.sha256}`;
    throw notVerified(`${stored.size} bytes${digest} are stored, not the ${written.size} that were written`);
  }
  if (contents === undefined) return;
  const entries = await countEntries(store, key, written.size, options).catch((cause: unknown) => {
    if (options.signal.aborted) throw options.signal.reason;
    if (cause instanceof StoreUnavailableError) throw cause;
    throw notVerified('its central directory cannot be read', cause);
  });
  if (entries !== contents.entries) {
    throw notVerified(`its central directory lists ${entries} entries, and ${contents.entries} were written`);
  }
  if (written.confirmed !== true || contents.entries === 0) return;
  const { offset, length, directorySha256 } = contents;
  const directory = await readBack(store, key, { start: offset, end: offset + length - 1 }, options);
  if (directory.sha256 !== directorySha256) throw notVerified('its central directory is not the one that was written');
}

async function sizeOf(store: ArchiveStore, key: string): Promise<{ size: number; sha256?: string }> {
  return { size: (await store.sizeOf(key)) ?? 0 };
}

async function readBack(
  store: ArchiveStore,
  key: string,
  range: ByteRange | undefined,
  { signal, onBytes }: VerifyOptions,
): Promise<{ size: number; sha256?: string }> {
  let told = 0;
  return untilRead(key, signal, async () => {
    const hash = createHash('sha256');
    let size = 0;
    for await (const piece of await store.read(key, range, signal)) {
      const bytes = piece as Buffer;
      hash.update(bytes);
      size += bytes.length;
      if (size > told) onBytes(size - told);
      told = Math.max(told, size);
    }
    return { size, sha256: hash.digest('hex') };
  });
}

/** Times that it is begun again when the connection broke: what was written is no worse for that. */
const READ_RETRIES = 5;
/** Milliseconds before the first of them; doubles. */
const FIRST_PAUSE = 100;

/** Says that the store was there, and the connection to it not until the end. */
class BrokenOffError extends StoreUnavailableError {}

/** @throws {ObjectMissingError | StoreUnavailableError} */
function untilRead<T>(key: string, signal: AbortSignal, read: () => Promise<T>): Promise<T> {
  const readOnce = async (): Promise<T> => {
    try {
      return await read();
    } catch (cause) {
      signal.throwIfAborted();
      // A store that is away has been waited for.
      if (cause instanceof ObjectMissingError || cause instanceof StoreUnavailableError) throw cause;
      throw new BrokenOffError(`the archive store broke off each time that ${key} was read`, { cause });
    }
  };
  return pRetry(readOnce, {
    signal,
    retries: READ_RETRIES,
    minTimeout: FIRST_PAUSE,
    shouldRetry: ({ error }) => error instanceof BrokenOffError,
  });
}

/** As the end of the zip says; that the directory itself is right is seen by its digest. */
async function countEntries(store: ArchiveStore, key: string, size: number, options: VerifyOptions): Promise<number> {
  const reader = createRangeReader(store, key, size, options);
  const zip = await fromRandomAccessReaderPromise(reader, size, { lazyEntries: true, strictFileNames: true });
  return zip.entryCount;
}
/** yauzl reads each record of the directory by itself; ranges of this size keep that from being a request each. */
const WINDOW = 1024 * 1024;

function createRangeReader(store: ArchiveStore, key: string, size: number, { signal, onBytes }: VerifyOptions) {
  let window = { start: 0, bytes: Buffer.alloc(0) };

  const fill = async (position: number, length: number): Promise<void> => {
    const end = Math.min(size, position + Math.max(length, WINDOW)) - 1;
    const bytes = await untilRead(key, signal, async () => {
      const pieces: Buffer[] = [];
      for await (const piece of await store.read(key, { start: position, end }, signal)) pieces.push(piece as Buffer);
      return Buffer.concat(pieces);
    });
    onBytes(bytes.length);
    window = { start: position, bytes };
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
