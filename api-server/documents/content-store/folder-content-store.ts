/** Content in a folder, for the embedded service: the same port and the same promises as S3. */
import { randomBytes } from 'node:crypto';
import { mkdir, open, readdir, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join, relative, resolve, sep } from 'node:path';
import { isNativeError } from 'node:util/types';
import {
  ContentMissingError,
  ContentUnavailableError,
  checkKey,
  checkPrefix,
  type ByteSpan,
  type ContentStore,
  type StoredObject,
} from './content-store.js';

/** No part of a key starts with a dot, so no object can be taken for an unfinished one, nor the reverse. */
const isUnfinished = (name: string): boolean => name.startsWith('.');

const PIECE = 1024 * 1024;
/** Buffers that writev(2) takes at once on every system: IOV_MAX is 1,024 on Linux. */
const PIECES_AT_ONCE = 512;

export function openFolderContentStore(folder: string): ContentStore {
  const root = resolve(folder);
  const pathOf = (key: string) => join(root, ...checkKey(key).split('/'));
  const folderOf = (prefix: string) => join(root, ...checkPrefix(prefix).slice(0, -1).split('/'));

  return {
    bucket: undefined,

    write: (key, pieces) =>
      translated(async () => {
        const path = pathOf(key);
        await makeFolder(dirname(path));
        const unfinished = join(dirname(path), `.${basename(path)}.${randomBytes(8).toString('hex')}`);
        try {
          await writeDurably(unfinished, pieces);
          await rename(unfinished, path);
        } catch (error) {
          await rm(unfinished, { force: true });
          throw error;
        }
        await syncFolder(dirname(path));
      }),

    read: (key, span) => readSpan(pathOf(key), key, span),

    sign: () => Promise.resolve(undefined),

    async *list(prefix) {
      for await (const path of walk(folderOf(prefix))) {
        if (isUnfinished(basename(path))) continue;
        const found = await translated(() => stat(path).catch(undefinedIfMissing));
        const key = relative(root, path).replaceAll(sep, '/');
        if (found !== undefined) yield { key, size: found.size, modified: found.mtime } satisfies StoredObject;
      }
    },

    delete: (key) => translated(() => rm(pathOf(key), { force: true })),

    sweepUnfinished: (prefix, before) =>
      translated(async () => {
        let swept = 0;
        for await (const path of walk(folderOf(prefix))) {
          if (!isUnfinished(basename(path))) continue;
          const found = await stat(path).catch(undefinedIfMissing);
          if (found === undefined || found.mtime >= before) continue;
          await rm(path, { force: true });
          swept += 1;
        }
        return swept;
      }),

    close: () => Promise.resolve(),
  };
}

async function writeDurably(path: string, pieces: readonly Buffer[]): Promise<void> {
  const file = await open(path, 'wx', 0o640);
  try {
    for (let first = 0; first < pieces.length; first += PIECES_AT_ONCE) {
      await writeAll(file, pieces.slice(first, first + PIECES_AT_ONCE));
    }
    await file.sync();
  } finally {
    await file.close();
  }
}

/** writev(2) may write less than it was given. */
async function writeAll(file: FileHandle, pieces: readonly Buffer[]): Promise<void> {
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const { bytesWritten } = await file.writev(pieces);
  if (bytesWritten === length) return;
  const rest = Buffer.concat(pieces).subarray(bytesWritten);
  for (let position = 0; position < rest.length;) {
    position += (await file.write(rest, position)).bytesWritten;
  }
}

async function* readSpan(path: string, key: string, { start, end }: ByteSpan): AsyncGenerator<Buffer> {
  if (start >= end) return;
  const file = await translated(() =>
    open(path, 'r').catch((cause: unknown) => {
      throw hasCode(cause, 'ENOENT') ? new ContentMissingError(key, { cause }) : cause;
    }),
  );
  try {
    for (let position = start; position < end;) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, end - position));
      const { bytesRead } = await translated(() => file.read(piece, 0, piece.length, position));
      if (bytesRead === 0) throw new ContentMissingError(key);
      position += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await file.close();
  }
}

/** Files under a folder, in the order of their keys. */
async function* walk(folder: string): AsyncGenerator<string> {
  const entries = await translated(
    async () => (await readdir(folder, { withFileTypes: true }).catch(undefinedIfMissing)) ?? [],
  );
  // `a/` sorts after `a.b` and before `a0`, as the whole keys would.
  const sortKey = (entry: { name: string; isDirectory(): boolean }) =>
    entry.isDirectory() ? `${entry.name}/` : entry.name;
  entries.sort((one, other) => (sortKey(one) < sortKey(other) ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* walk(path);
    else yield path;
  }
}

/** A new folder is durable only after the one that holds it is. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true, mode: 0o750 });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
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

/** File system errors become the port's; anything else passes as it is. */
async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (isNativeError(error) && 'syscall' in error) {
      throw new ContentUnavailableError(`the content folder failed: ${error.message}`, { cause: error });
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
