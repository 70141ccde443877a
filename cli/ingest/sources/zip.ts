/** The files in a zip, by its directory. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, createInflateRaw, inflateRaw } from 'node:zlib';
import { Entry, getFileNameLowLevel, openPromise, type ZipFile } from 'yauzl';
import { LARGEST_FILE, RefusedFileError, tooLarge } from '../source.js';
import { createListing, type Archive, type Listing } from './archive.js';

/** Nothing that was written by a person or a scanner deflates to so little, and every zip bomb does. */
const MOST_RATIO = 200;
/** Small files may be nothing but spaces. */
const SUSPICIOUS_SIZE = 1024 * 1024;

const STORED = 0;
const DEFLATED = 8;
const ENCRYPTED = 1;
/** Of the file modes that Unix writes into a zip: what is a link. */
const LINK = 0o120000;
const KIND = 0o170000;

const inflate = promisify<Buffer, { maxOutputLength: number }, Buffer>(inflateRaw);

/** @throws {Error} it is no zip, or its directory is broken */
export async function openZip(path: string): Promise<Archive> {
  const zip = await openPromise(path, { lazyEntries: true, autoClose: false, decodeStrings: false });
  const listing = createListing(5);
  for await (const entry of zip.eachEntry()) addEntry(listing, entry);
  listing.index.sort();
  const file = await open(path);

  return {
    listing,
    async read(_name, [offset = 0, storedSize = 0, size = 0, crc = 0, method = 0]) {
      const start = await findStart(zip, offset);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(storedSize), 0, storedSize, start);
      if (bytesRead < storedSize) throw new RefusedFileError('the zip ends before it does');
      const bytes = method === STORED ? buffer : await inflated(buffer, size);
      if (bytes.length !== size || crc32(bytes) !== crc)
        throw new RefusedFileError('its bytes do not fit its checksum');
      return bytes;
    },
    async *stream(_name, [offset = 0, storedSize = 0, , , method = 0]) {
      const start = await findStart(zip, offset);
      const stored = createReadStream(path, { start, end: start + storedSize - 1 });
      if (storedSize > 0)
        yield* (method === STORED ? stored : stored.compose(createInflateRaw())) as AsyncIterable<Buffer>;
    },
    async close() {
      zip.close();
      await file.close();
    },
  };
}

function addEntry(listing: Listing, entry: Entry): void {
  const { generalPurposeBitFlag: flags, compressionMethod: method } = entry;
  const name = getFileNameLowLevel(flags, entry.fileNameRaw, entry.extraFields, false);
  const { compressedSize, uncompressedSize, relativeOffsetOfLocalHeader: offset } = entry;
  const isTable = /(^|\/)metadata\.(csv|jsonl)$/.test(name);
  if (name.endsWith('/')) return;
  if (((entry.externalFileAttributes >>> 16) & KIND) === LINK) listing.skip(name, 'a link');
  else if ((flags & ENCRYPTED) !== 0) listing.refuse(name, 'it is encrypted');
  else if (method !== STORED && method !== DEFLATED)
    listing.refuse(name, `it is packed by method ${method}; deflate is known`);
  else if (isBomb(compressedSize, uncompressedSize)) {
    const ratio = Math.round(uncompressedSize / compressedSize);
    listing.refuse(name, `it would unpack to ${uncompressedSize} bytes, ${ratio} times as much as it is: a zip bomb`);
  } else if (!isTable && Math.max(compressedSize, uncompressedSize) > LARGEST_FILE) {
    listing.refuse(name, tooLarge(uncompressedSize));
  } else listing.add(name, [offset, compressedSize, uncompressedSize, entry.crc32, method]);
}

const isBomb = (stored: number, size: number): boolean => size > SUSPICIOUS_SIZE && size > stored * MOST_RATIO;

/** Unpacks to no more than the directory says. */
async function inflated(stored: Buffer, size: number): Promise<Buffer> {
  try {
    return await inflate(stored, { maxOutputLength: Math.max(1, size) });
  } catch (error) {
    const isLonger =
      typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE';
    const reason = isLonger
      ? `it would unpack to more than the ${size} bytes that the zip says: a zip bomb`
      : 'it is damaged';
    throw new RefusedFileError(reason, { cause: error });
  }
}

async function findStart(zip: ZipFile, offset: number): Promise<number> {
  try {
    const entry = Object.assign(new Entry(), { relativeOffsetOfLocalHeader: offset });
    return (await zip.readLocalFileHeaderPromise(entry, { minimal: true })).fileDataStart;
  } catch (error) {
    throw new RefusedFileError('it is not where the zip says', { cause: error });
  }
}
