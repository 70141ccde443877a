/** The files below a folder. */
import { createReadStream } from 'node:fs';
import { open, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { LARGEST_FILE, RefusedFileError, tooLarge } from '../source.js';
import { createListing, type Archive, type Listing } from './archive.js';

export async function openFolder(folder: string): Promise<Archive> {
  const listing = createListing(0);
  await list(listing, folder, '');
  listing.index.sort();
  return {
    // What the folder is called is not in the names.
    listing: { ...listing, top: () => '' },
    read: (name) => readSmall(join(folder, name)),
    stream: (name) => createReadStream(join(folder, name)),
    close: () => Promise.resolve(),
  };
}

async function list(listing: Listing, folder: string, below: string): Promise<void> {
  for await (const entry of await opendir(join(folder, below))) {
    const name = below + entry.name;
    if (entry.isDirectory()) await list(listing, folder, `${name}/`);
    else if (entry.isFile()) listing.add(name, []);
    else if (entry.isSymbolicLink() && (await isFile(join(folder, name)))) listing.add(name, []);
    else listing.skip(name, 'neither a file nor a folder');
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** @throws {RefusedFileError} there is no such file, it cannot be read, or is too large */
async function readSmall(path: string): Promise<Buffer> {
  try {
    const file = await open(path);
    try {
      const { size } = await file.stat();
      if (size > LARGEST_FILE) throw new RefusedFileError(tooLarge(size));
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof RefusedFileError) throw error;
    throw new RefusedFileError(isMissing(error) ? 'there is no such file' : `it cannot be read: ${String(error)}`, {
      cause: error,
    });
  }
}

const isMissing = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ENOENT';

/** Files that rows name, relative to the folder that the rows are in. Their paths were found safe before. */
export const openerBelow = (folder: string) => (path: string) => readSmall(join(folder, path));
