/**
 * Writes a gzipped tar through archiver, one entry at a time. Archiver is never given a stream that can fail: an entry
 * stream that errors would become an uncaught exception and leave the archive without an end.
 */
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { isNativeError } from 'node:util/types';
import type { TarArchive } from 'archiver';
import { contentOf } from '../source/file-content.js';
import type { ArchiveEntry } from '../zip/entry.js';

export interface TarOptions {
  /** Of all entries. */
  date: Date;
}

/** The archive's bytes. Where the entries throw, so does this; it never ends early as if it were whole. */
export async function* writeTarGz(
  entries: AsyncIterable<readonly ArchiveEntry[]>,
  { date }: TarOptions,
): AsyncGenerator<Buffer> {
  // Most packagers never write one.
  const { TarArchive } = await import('archiver');
  const archive = new TarArchive({ gzip: true, gzipOptions: { level: 6 } });
  const ending = new AbortController();
  let failure: { error: unknown } | undefined;
  const fail = (error: unknown): void => {
    failure ??= { error };
    ending.abort(error);
    archive.destroy(isNativeError(error) ? error : new Error(String(error)));
  };
  // An entry that waits is told through `ending`.
  archive.on('error', fail);
  archive.on('warning', fail);
  const packing = pack(archive, entries, date, ending.signal);
  packing.catch(fail);
  try {
    for await (const piece of archive) yield piece as Buffer;
    // It also ends when it was destroyed.
    await packing;
  } catch (error) {
    throw failure === undefined ? error : failure.error;
  } finally {
    fail(new Error('nobody reads the archive any more'));
    await packing.catch(() => undefined);
  }
}

async function pack(
  archive: TarArchive,
  entries: AsyncIterable<readonly ArchiveEntry[]>,
  date: Date,
  signal: AbortSignal,
): Promise<void> {
  for await (const batch of entries) {
    for (const entry of batch) {
      signal.throwIfAborted();
      const head = { name: entry.name, date, mode: entry.name.endsWith('/') ? 0o755 : 0o644 };
      const written = once(archive, 'entry', { signal });
      if (entry.type === 'bytes') {
        archive.append(entry.content, head);
        await written;
      } else {
        const body = new PassThrough();
        // A tar says how long an entry is before its bytes.
        archive.append(body, { ...head, stats: { size: entry.size } as never });
        await Promise.all([written, pour(entry, body, signal)]);
      }
    }
  }
  await archive.finalize();
}

/** Writes a content into a stream that cannot fail: where the content does, the stream simply never ends. */
async function pour(entry: ArchiveEntry & { type: 'stored' }, body: PassThrough, signal: AbortSignal): Promise<void> {
  let size = 0;
  for await (const piece of contentOf(entry)) {
    signal.throwIfAborted();
    size += piece.length;
    if (!body.write(piece)) await once(body, 'drain', { signal });
  }
  if (size !== entry.size) throw new RangeError(`${entry.name} has ${size} bytes, not ${entry.size}`);
  body.end();
}
