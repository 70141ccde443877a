/** Archives in a folder, for the embedded service: the same port and the same promises as S3. */
import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, open, readdir, readFile, rename, rm, stat, unlink, type FileHandle } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { isNativeError } from 'node:util/types';
import { createStreamDigest } from '../hashing/hash-thread.js';
import { giveShared } from '../hashing/shared-memory.js';
import {
  checkKey,
  checkPrefix,
  ObjectMissingError,
  StoreUnavailableError,
  type ArchiveStore,
  type ByteSource,
  type StoredObject,
  type WriteOptions,
  type WrittenObject,
} from './archive-store.js';
import { cutIntoParts } from './parts.js';

/** Bytes that are written and hashed together. */
const PART = 1024 * 1024;
const PARTS_UNDER_WAY = 3;

/** No key has a segment that starts with a dot, so no object can be taken for an unfinished one, nor the reverse. */
const UNFINISHED = /^\.(.+)\.[0-9a-f]{16}$/;

export function openFolderArchiveStore(folder: string): ArchiveStore {
  const root = resolve(folder);
  const pathOf = (key: string) => join(root, ...checkKey(key).split('/'));
  const folderOf = (prefix: string) => join(root, ...checkPrefix(prefix).slice(0, -1).split('/'));

  async function writeUnfinished(path: string, source: ByteSource, options: WriteOptions) {
    await mkdir(dirname(path), { recursive: true, mode: 0o750 });
    const unfinished = join(dirname(path), `.${baseName(path)}.${randomBytes(8).toString('hex')}`);
    const file = await open(unfinished, 'wx', 0o640);
    try {
      const written = await writeAll(file, source, options);
      await file.sync();
      await file.close();
      return { unfinished, written };
    } catch (error) {
      await file.close().catch(() => undefined);
      await rm(unfinished, { force: true });
      throw error;
    }
  }

  return {
    urlOf: (key) => pathToFileURL(pathOf(key)).href,

    write: (key, source, options) =>
      translated(async () => {
        const path = pathOf(key);
        const { unfinished, written } = await writeUnfinished(path, source, options);
        await rename(unfinished, path);
        await syncFolder(dirname(path));
        return written;
      }),

    putIfAbsent: (key, content, mediaType) =>
      translated(async () => {
        const path = pathOf(key);
        const { unfinished } = await writeUnfinished(path, single(content), { mediaType });
        try {
          // link(2) fails where the name is taken, rename(2) would replace it.
          await link(unfinished, path);
        } catch (error) {
          if (hasCode(error, 'EEXIST')) return false;
          throw error;
        } finally {
          await unlink(unfinished);
        }
        await syncFolder(dirname(path));
        return true;
      }),

    get: (key) => translated(() => readFile(pathOf(key)).catch(undefinedIfMissing)),

    sizeOf: (key) => translated(async () => (await stat(pathOf(key)).catch(undefinedIfMissing))?.size),

    read: (key, range, signal) =>
      translated(async () => {
        const path = pathOf(key);
        const file = await open(path, 'r').catch((cause: unknown) => {
          throw hasCode(cause, 'ENOENT') ? new ObjectMissingError(key, { cause }) : cause;
        });
        return createReadStream(path, {
          fd: file,
          ...(range === undefined ? {} : { start: range.start, end: range.end }),
          ...(signal === undefined ? {} : { signal }),
        });
      }),

    async *list(prefix) {
      for await (const { key, unfinished } of walk(folderOf(prefix), prefix)) {
        if (unfinished) continue;
        const found = await stat(pathOf(key)).catch(undefinedIfMissing);
        if (found !== undefined) yield { key, size: found.size } satisfies StoredObject;
      }
    },

    listUnfinished: (prefix) =>
      translated(async () => {
        const keys: string[] = [];
        for await (const { key, unfinished } of walk(folderOf(prefix), prefix)) if (unfinished) keys.push(key);
        return keys;
      }),

    sweepUnfinished: (prefix, olderThan) =>
      translated(async () => {
        let swept = 0;
        for await (const { path, unfinished } of walk(folderOf(prefix), prefix)) {
          if (!unfinished) continue;
          const found = olderThan && (await stat(path).catch(undefinedIfMissing));
          if (olderThan !== undefined && (found === undefined || found.mtime >= olderThan)) continue;
          await rm(path, { force: true });
          swept += 1;
        }
        return swept;
      }),

    delete: (key) =>
      translated(async () => {
        await rm(pathOf(key), { force: true });
      }),

    deleteAll: (prefix) =>
      translated(async () => {
        let deleted = 0;
        for await (const { path, unfinished } of walk(folderOf(prefix), prefix)) {
          await rm(path, { force: true });
          if (!unfinished) deleted += 1;
        }
        await rm(folderOf(prefix), { recursive: true, force: true });
        return deleted;
      }),

    check: () =>
      translated(async () => {
        await mkdir(root, { recursive: true, mode: 0o750 });
      }),

    close: () => Promise.resolve(),
  };
}

async function writeAll(file: FileHandle, source: ByteSource, options: WriteOptions): Promise<WrittenObject> {
  const digest = createStreamDigest(options.size);
  const underWay: Promise<void>[] = [];
  let size = 0;
  const store = async (part: Buffer, at: number): Promise<void> => {
    // Hashed while the file system writes, and while the next part is made.
    await Promise.all([writeFully(file, part, at), digest.add(part)]);
    giveShared(part);
    options.onBytes?.(part.length);
  };
  options.signal?.throwIfAborted();
  try {
    for await (const { bytes } of cutIntoParts(source, () => PART)) {
      options.signal?.throwIfAborted();
      const storing = store(bytes, size);
      // Its failure is met when its turn comes.
      storing.catch(() => undefined);
      underWay.push(storing);
      size += bytes.length;
      if (underWay.length === PARTS_UNDER_WAY) await underWay.shift();
    }
    await Promise.all(underWay);
  } finally {
    // Nothing writes any more once the file is closed.
    await Promise.allSettled(underWay);
  }
  options.signal?.throwIfAborted();
  return { size, sha256: await digest.digest() };
}

/** write(2) may take less than it was given. */
async function writeFully(file: FileHandle, part: Buffer, at: number): Promise<void> {
  for (let written = 0; written < part.length;) {
    written += (await file.write(part, written, part.length - written, at + written)).bytesWritten;
  }
}

interface Found {
  path: string;
  key: string;
  unfinished: boolean;
}

/** Files under a folder in the order of their keys. */
async function* walk(folder: string, prefix: string): AsyncGenerator<Found> {
  const entries = (await readdir(folder, { withFileTypes: true }).catch(undefinedIfMissing)) ?? [];
  // `a/` sorts after `a.zip` and before `a0`, as the whole keys would.
  const sortKey = (entry: { name: string; isDirectory(): boolean }) =>
    entry.isDirectory() ? `${entry.name}/` : entry.name;
  entries.sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      yield* walk(path, `${prefix}${entry.name}/`);
      continue;
    }
    const target = UNFINISHED.exec(entry.name)?.[1];
    yield { path, key: `${prefix}${target ?? entry.name}`, unfinished: target !== undefined };
  }
}

/** A rename is durable only after its folder is. Windows knows no such thing. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch((error: unknown) => {
    if (hasCode(error, 'EISDIR') || hasCode(error, 'EPERM')) return undefined;
    throw error;
  });
  try {
    await handle?.sync();
  } finally {
    await handle?.close();
  }
}

/** File system errors become the port's; anything else (the source's own errors, aborts) passes as it is. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isNativeError(error) && 'syscall' in error) {
      throw new StoreUnavailableError(`the archive folder failed: ${error.message}`, { cause: error });
    }
    throw error;
  }
}

function undefinedIfMissing(error: unknown): undefined {
  if (hasCode(error, 'ENOENT')) return undefined;
  throw error;
}

function hasCode(error: unknown, code: string): boolean {
  return isNativeError(error) && 'code' in error && error.code === code;
}

function baseName(path: string): string {
  return path.slice(dirname(path).length + 1);
}

// eslint-disable-next-line @typescript-eslint/require-await -- a source of one piece
async function* single(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
