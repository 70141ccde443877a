/** Archives in a folder, served by the api-server itself: the embedded store. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ArchiveStoreError, LINK_LIFETIME, type ArchiveLinks } from './archive-links.js';

/** Where the links lead, below `/api`. */
export const ARCHIVE_PATH = '/archives';

const KEY = /^dumps\/[A-Za-z0-9_-]+\/[0-9]+\/[A-Za-z0-9_-]+(\.[a-z0-9]+)*$/;

export interface FolderArchiveLinks extends ArchiveLinks {
  /** The file that a signed link stands for; undefined where it was tampered with or its time is over. */
  open(query: Record<string, unknown>): { path: string; filename: string; sha256: string } | undefined;
}

/** @param secret signs the links; the same for all api-servers that serve the folder */
export function createFolderArchiveLinks(folder: string, secret: string): FolderArchiveLinks {
  const signature = (fields: URLSearchParams): string =>
    createHmac('sha256', secret).update(`archive link\n${fields.toString()}`).digest('hex');
  return {
    async readText(key) {
      try {
        return await readFile(join(folder, safeKey(key)), 'utf8');
      } catch (error) {
        if (isNotFound(error)) return undefined;
        throw new ArchiveStoreError(`cannot read ${key}`, { cause: error });
      }
    },
    async has({ key, size }) {
      try {
        return (await stat(join(folder, safeKey(key)))).size === size;
      } catch (error) {
        if (isNotFound(error)) return false;
        throw new ArchiveStoreError(`cannot look at ${key}`, { cause: error });
      }
    },
    sign({ key, sha256, filename }, origin) {
      const expires = String(Math.floor(Date.now() / 1000) + LINK_LIFETIME);
      const fields = new URLSearchParams({ key, sha256, filename, expires });
      fields.set('signature', signature(fields));
      return Promise.resolve(`${origin}/api${ARCHIVE_PATH}?${fields.toString()}`);
    },
    open(query) {
      const { key, sha256, filename, expires, signature: given } = query;
      if (![key, sha256, filename, expires, given].every((value) => typeof value === 'string')) return undefined;
      const text = { key, sha256, filename, expires } as Record<'key' | 'sha256' | 'filename' | 'expires', string>;
      const expected = Buffer.from(signature(new URLSearchParams(text)));
      const got = Buffer.from(given as string);
      if (expected.length !== got.length || !timingSafeEqual(expected, got)) return undefined;
      if (Number(text.expires) < Date.now() / 1000) return undefined;
      return { path: join(folder, safeKey(text.key)), filename: text.filename, sha256: text.sha256 };
    },
  };
}

/** Keys come from manifests, which come from outside: none may lead out of the folder. */
function safeKey(key: string): string {
  if (!KEY.test(key)) throw new ArchiveStoreError(`${JSON.stringify(key)} is not the key of an archive`);
  return key;
}

function isNotFound(error: unknown): boolean {
  const code: unknown = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  return code === 'ENOENT' || code === 'ENOTDIR';
}
