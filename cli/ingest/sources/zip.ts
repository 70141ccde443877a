/** The files in a zip, by its directory. */
import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { promisify } from 'node:util';
import { crc32, createInflateRaw, inflateRaw } from 'node:zlib';
import { fromRandomAccessReaderPromise, getFileNameLowLevel, RandomAccessReader, type Entry } from 'yauzl';
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
  const file = await open(path);
  const listing = createListing(5);
  try {
    const { size } = await file.stat();
    const options = { lazyEntries: true, autoClose: false, decodeStrings: false };
    const zip = await fromRandomAccessReaderPromise(windowOn(file), size, options);
    for await (const entry of zip.eachEntry()) addEntry(listing, entry);
  } catch (error) {
    await file.close();
    throw error;
  }
  listing.index.sort();

  return {
    listing,
    async read(_name, [offset = 0, storedSize = 0, size = 0, crc = 0, method = 0]) {
      const start = await findStart(file, offset);
      const { buffer, bytesRead } = await file.read(Buffer.alloc(storedSize), 0, storedSize, start);
      if (bytesRead < storedSize) throw new RefusedFileError('the zip ends before it does');
      const bytes = method === STORED ? buffer : await inflated(buffer, size);
      if (bytes.length !== size || crc32(bytes) !== crc)
        throw new RefusedFileError('its bytes do not fit its checksum');
      return bytes;
    },
    async *stream(_name, [offset = 0, storedSize = 0, , , method = 0]) {
      const start = await findStart(file, offset);
      const stored = createReadStream(path, { start, end: start + storedSize - 1 });
      if (storedSize > 0)
        yield* (method === STORED ? stored : stored.compose(createInflateRaw())) as AsyncIterable<Buffer>;
    },
    close: () => file.close(),
  };
}

/** yauzl reads each record of the directory by itself: out of a window, that is no system call each. */
const WINDOW = 1024 * 1024;

function windowOn(file: FileHandle): RandomAccessReader {
  let window = { start: 0, bytes: Buffer.alloc(0) };
  const readInto = async (buffer: Buffer, offset: number, length: number, position: number): Promise<void> => {
    const isHeld = position >= window.start && position + length <= window.start + window.bytes.length;
    if (!isHeld) {
      const { buffer: bytes, bytesRead } = await file.read(Buffer.alloc(Math.max(length, WINDOW)), { position });
      window = { start: position, bytes: bytes.subarray(0, bytesRead) };
    }
    const from = position - window.start;
    if (window.bytes.copy(buffer, offset, from, from + length) < length) throw new Error('The zip ends too early.');
  };
  return new (class extends RandomAccessReader {
    override read(...[buffer, offset, length, position, callback]: Parameters<RandomAccessReader['read']>): void {
      readInto(buffer, offset, length, position).then(() => callback(null), callback);
    }

    override _readStreamForRange(): never {
      throw new Error('contents are read without yauzl');
    }
  })();
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

/** APPNOTE 4.3.7: a local file header has 30 bytes, and then the name and the extra field, whose lengths are its last numbers. */
async function findStart(file: FileHandle, offset: number): Promise<number> {
  const { buffer, bytesRead } = await file.read(Buffer.alloc(30), 0, 30, offset);
  if (bytesRead < 30 || buffer.readUInt32LE(0) !== 0x04034b50)
    throw new RefusedFileError('it is not where the zip says');
  return offset + 30 + buffer.readUInt16LE(26) + buffer.readUInt16LE(28);
}
