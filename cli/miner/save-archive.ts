/** Downloads the archive of a finished dump, verifies it, and only then gives it its name. */
import { rename, rm } from 'node:fs/promises';
import { downloadArchive } from './download.js';
import { dumpStateFile } from './dump-state.js';
import { DumpError } from './errors.js';
import { digestOf, flush, lengthOf, refuseUnwritable, unwritable } from './files.js';
import type { DumpStatus, MinerClient } from './miner-client.js';
import { verifyBag, type BagReport } from './verify-bag.js';

export interface SaveArchiveOptions {
  /** Replace a file that is there and is another archive. */
  overwrite?: boolean | undefined;
  /** Told how many bytes of the archive are here, and how many it has (null: not known). */
  onBytes?: ((bytes: number, size: number | null) => void) | undefined;
  /** Told when all bytes are here and are being checked. */
  onVerify?: (() => void) | undefined;
}

export interface SavedArchive {
  file: string;
  size: number;
  sha256: string;
  /** Null: a packager of another make gave no digest, and nothing but the length could be checked. */
  bag: BagReport | null;
  /** False where the file was there already, and is this archive. */
  downloaded: boolean;
}

type Checked = Pick<SavedArchive, 'size' | 'sha256' | 'bag'>;

/**
 * The file is there, whole and verified, when this resolves, and not before. Interrupted, it leaves `<file>.part` and
 * `<file>.adit.json`, with which the next call goes on.
 * @throws {DumpError | RefusedError | UnreachableError}
 */
export async function saveArchive(
  client: MinerClient,
  status: DumpStatus,
  file: string,
  { overwrite = false, onBytes, onVerify }: SaveArchiveOptions = {},
): Promise<SavedArchive> {
  const { archive } = status;
  if (archive === null) throw endOf(status);
  const part = `${file}.part`;
  const memory = dumpStateFile(file);
  if (await refuseUnwritable(file)) {
    const isThis = archive.sha256 !== null && (await digestOf(file)) === archive.sha256;
    if (isThis) {
      const checked = await check(file, status);
      await memory.remove();
      return { file, ...checked, downloaded: false };
    }
    if (!overwrite) throw isInTheWay(file);
  }
  const { sha256 } = archive;
  const { part: left } = await memory.read();
  await downloadArchive(client, status, part, {
    etag: left !== undefined && left.sha256 === sha256 ? left.etag : undefined,
    onEtag: (etag) => memory.remember({ part: etag === undefined || sha256 === null ? undefined : { sha256, etag } }),
    onBytes: (bytes) => onBytes?.(bytes, archive.size),
  });
  onVerify?.();
  const checked = await check(part, status).catch(async (error: unknown) => {
    await rm(part, { force: true });
    await memory.remember({ part: undefined });
    throw error;
  });
  // A name that survives a power cut, and bytes that do not, would be worse than neither.
  await flush(part);
  await rename(part, file).catch((error: unknown) => Promise.reject(unwritable(file, error)));
  await memory.remove();
  return { file, ...checked, downloaded: true };
}

export const isInTheWay = (file: string): DumpError =>
  new DumpError(
    'file',
    `${file} is there already, and is not this archive: name another file, or overwrite it (--overwrite).`,
  );

/** @throws {DumpError} the archive is not what the server told of */
async function check(path: string, { archive }: DumpStatus): Promise<Checked> {
  const size = await lengthOf(path);
  const sha256 = await digestOf(path);
  const wanted = archive?.sha256 ?? null;
  if (wanted === null) return { size, sha256, bag: null };
  try {
    if (sha256 !== wanted) throw new Error(`it has SHA-256 ${sha256} instead of ${wanted}`);
    return { size, sha256, bag: await verifyBag(path) };
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause);
    throw new DumpError('damaged', `The archive is damaged, and was not kept: ${why}.`);
  }
}

/** How a dump without an archive ended. */
function endOf({ status, message, error }: DumpStatus): DumpError {
  switch (status) {
    case 'dismissed':
    case 'expired':
      return new DumpError(status, message);
    case 'failed':
    case 'accepted':
    case 'running':
    case 'successful':
      return new DumpError('failed', `There is no archive: ${error?.detail ?? message}`);
  }
}
