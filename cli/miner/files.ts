/** Files on the miner's own disk, and what is wrong with them in words. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access, constants, open, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import prettyBytes from 'pretty-bytes';
import { DumpError } from './errors.js';

const REASONS: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full',
  EDQUOT: 'your share of the disk is used up',
  EFBIG: 'files may not become so large there',
  EACCES: 'you may not write there',
  EPERM: 'you may not write there',
  EROFS: 'it can only be read there',
  ENOENT: 'there is no such folder',
  ENOTDIR: 'there is no such folder',
  EISDIR: 'a folder has this name',
};

/** What the system says of a file that cannot be written, as a sentence. */
export function unwritable(path: string, error: unknown): Error {
  return faultOf(`${path} cannot be written`, error, REASONS);
}

/** What the system says of a file that cannot be read, as a sentence. */
export function unreadable(path: string, error: unknown): Error {
  return faultOf(`${path} cannot be read`, error, {
    ENOENT: 'there is no such file',
    EACCES: 'you may not read it',
    EISDIR: 'it is a folder',
  });
}

function faultOf(what: string, error: unknown, reasons: Readonly<Record<string, string>>): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (!('code' in error)) return error;
  return new DumpError('file', `${what}: ${reasons[String(error.code)] ?? String(error.code)}.`);
}

/** Before anything is asked for: whether the file exists. @throws {DumpError} it can never be written */
export async function refuseUnwritable(file: string): Promise<boolean> {
  const existing = await stat(file).catch(() => undefined);
  if (existing !== undefined && !existing.isFile()) {
    throw new DumpError('file', `${file} is not a file: name one that the archive can be in.`);
  }
  await access(dirname(file), constants.W_OK).catch((error: unknown) => Promise.reject(unwritable(file, error)));
  return existing !== undefined;
}

/** Before hours are spent on what cannot end well. @param size of the whole file; null: not known */
export async function refuseTooLarge(file: string, size: number | null): Promise<void> {
  if (size === null) return;
  const { bavail, bsize } = await statfs(dirname(file));
  const free = bavail * bsize;
  const wanted = size - (await lengthOf(file));
  if (free >= wanted) return;
  const room = `${prettyBytes(wanted)} are still to come, and the disk has ${prettyBytes(free)} free`;
  throw new DumpError('file', `There is no room for ${file}: ${room}.`);
}

/** Resolves when what was written is on the disk. */
export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** 0 where there is no such file. */
export const lengthOf = (path: string): Promise<number> =>
  stat(path).then(
    ({ size }) => size,
    () => 0,
  );

/** SHA-256 of a file, in hexadecimal: of what lies on the disk, not of what was thought to be written there. */
export async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
