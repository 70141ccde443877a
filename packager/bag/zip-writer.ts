/**
 * Writes a zip through archiver, one entry at a time. Archiver is never given a stream that can fail: an entry stream
 * that errors would become an uncaught exception and leave the archive without an end.
 */
import { createHash } from 'node:crypto';
import { PassThrough } from 'node:stream';
import { isNativeError } from 'node:util/types';
import { ZipArchive } from 'archiver';
import { joinSmallWrites } from './join-small-writes.js';

/** What a reader of the finished zip has to find again. */
export interface ZipContents {
  entries: number;
  /** SHA-256 over the names of the entries in their order. */
  namesSha256: string;
}

export interface ZipWriter {
  /** The zip's bytes; throws what `fail` was given, never ends early. To be read once. */
  readonly bytes: AsyncIterable<Buffer>;
  /** Adds an entry that is there whole. `store` leaves out compression. */
  add(name: string, content: Buffer, options?: { store?: boolean }): Promise<void>;
  /** Adds an entry from a source of any length; where the source throws, so does this, and the zip has failed. */
  addStream(name: string, source: AsyncIterable<Buffer>): Promise<void>;
  finish(): Promise<ZipContents>;
  /** Ends the zip as failed; does nothing to one that has ended. */
  fail(error: unknown): void;
}

/** Zip times count in steps of two seconds from 1980 to 2107; archiver writes none after 2043. */
const EARLIEST = Date.UTC(1980, 0, 1);
const LATEST = Date.UTC(2043, 11, 31, 23, 59, 58);
const STEP = 2000;

/** The time that all entries carry: no clock of this machine goes into the archive. */
export function entryDate(created: Date): Date {
  const time = Number.isNaN(created.getTime()) ? EARLIEST : created.getTime();
  return new Date(Math.floor(Math.min(Math.max(time, EARLIEST), LATEST) / STEP) * STEP);
}

export function createZipWriter(date: Date): ZipWriter {
  const archive = new ZipArchive({ zlib: { level: 6 } });
  const names = createHash('sha256');
  let entries = 0;
  let end: { type: 'finished' } | { type: 'failed'; error: unknown } | undefined;
  let rejectPending: (error: unknown) => void = () => undefined;
  let taken = 0;
  let onTaken: () => void = () => undefined;

  const fail = (error: unknown): void => {
    if (end !== undefined) return;
    end = { type: 'failed', error };
    rejectPending(error);
    archive.destroy(isNativeError(error) ? error : new Error(String(error)));
  };
  archive.on('error', fail);
  archive.on('warning', fail);

  /** Waits for one of archiver's events, or for the failure that means it will never come. */
  const settled = (event: string, start: () => void): Promise<void> => {
    if (end?.type === 'failed') return Promise.reject(end.error);
    return new Promise((resolve, reject) => {
      const done = (): void => {
        rejectPending = () => undefined;
        resolve();
      };
      rejectPending = (error) => {
        archive.removeListener(event, done);
        reject(error);
      };
      archive.once(event, done);
      start();
    });
  };

  const append = async (name: string, source: Buffer | PassThrough, store: boolean): Promise<void> => {
    names.update(`${name}\n`);
    entries += 1;
    await settled('entry', () => archive.append(source, { name, date, mode: 0o644, store }));
  };

  /**
   * Archiver says that a stored entry is done when it is queued, however slow the reader: without this, entries that
   * are not compressed would pile up in memory.
   */
  const takenUpTo = async (position: number): Promise<void> => {
    while (taken < position) {
      if (end?.type === 'failed') throw end.error;
      await new Promise<void>((resolve, reject) => {
        onTaken = resolve;
        rejectPending = reject;
      });
    }
  };

  return {
    bytes: readBytes(
      archive,
      () => end,
      (bytes) => {
        taken += bytes;
        onTaken();
      },
    ),
    async add(name, content, { store = false } = {}) {
      const before = taken;
      await append(name, content, store);
      if (store) await takenUpTo(before + content.length);
    },
    async addStream(name, source) {
      const body = new PassThrough();
      const appended = append(name, body, false);
      try {
        await Promise.all([appended, pour(source, body, () => end?.type === 'failed')]);
      } catch (error) {
        fail(error);
        await appended.catch(() => undefined);
        throw error;
      }
    },
    async finish() {
      if (end === undefined) joinSmallWrites(archive);
      await settled('end', () => void archive.finalize().catch(fail));
      end ??= { type: 'finished' };
      return { entries, namesSha256: names.digest('hex') };
    },
    fail,
  };
}

/** `archive` ends as if it were whole when it is aborted; only a zip that was finished may end here. */
async function* readBytes(
  archive: ZipArchive,
  endOf: () => { type: 'finished' } | { type: 'failed'; error: unknown } | undefined,
  onTaken: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  try {
    for await (const piece of archive) {
      yield piece as Buffer;
      onTaken((piece as Buffer).length);
    }
  } catch (error) {
    const end = endOf();
    throw end?.type === 'failed' ? end.error : error;
  }
  const end = endOf();
  if (end?.type === 'failed') throw end.error;
}

/** Writes a source into an entry that cannot fail: where the source does, the entry simply never ends. */
async function pour(source: AsyncIterable<Buffer>, body: PassThrough, isFailed: () => boolean): Promise<void> {
  for await (const piece of source) {
    if (isFailed()) return;
    if (!body.write(piece)) await drained(body);
  }
  body.end();
}

function drained(body: PassThrough): Promise<void> {
  return new Promise((resolve) => {
    body.once('drain', resolve);
  });
}
