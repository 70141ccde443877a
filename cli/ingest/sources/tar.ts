/**
 * The files in a tar. It has no directory, and the files of one document may be anywhere in it: so what may belong to documents is
 * unpacked into one file on disk, which needs as much room as they have together.
 */
import { createReadStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract, type Header } from 'tar-stream';
import { LARGEST_FILE, tooLarge } from '../source.js';
import { createListing, type Archive } from './archive.js';
import { readName } from './file-names.js';

/** A file in it, which has to be read before the next one comes. */
interface Entry extends AsyncIterable<Buffer> {
  header: Header;
}

/** Nothing that was written by a person or a scanner deflates to so little. */
const MOST_RATIO = 200;
const SUSPICIOUS_SIZE = 100 * 1024 * 1024;

/** @throws {Error} it is no tar, or broken */
export async function openTar(chunks: AsyncIterable<Buffer>): Promise<Archive> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-ingest-'));
  const path = join(folder, 'files');
  const file = await open(path, 'w+');
  const close = async (): Promise<void> => {
    await file.close();
    await rm(folder, { recursive: true, force: true });
  };
  const listing = createListing(2);
  let end = 0;
  const read = { bytes: 0 };
  try {
    for await (const entry of unpacked(chunks, read)) {
      const { name, isKept } = judge(entry);
      const start = end;
      for await (const chunk of entry) {
        if (!isKept) continue;
        await file.write(chunk, 0, chunk.length, end);
        end += chunk.length;
        if (end > SUSPICIOUS_SIZE && end > read.bytes * MOST_RATIO) {
          throw new Error(`The tar unpacks to more than ${MOST_RATIO} times its size: a bomb.`);
        }
      }
      if (isKept) listing.add(name, [start, end - start]);
    }
  } catch (error) {
    await close();
    throw error;
  }
  listing.index.sort();
  return {
    listing,
    async read(_name, [start = 0, length = 0]) {
      return (await file.read(Buffer.alloc(length), 0, length, start)).buffer;
    },
    stream: (_name, [start = 0, length = 0]) =>
      length === 0 ? Readable.from([]) : createReadStream(path, { start, end: start + length - 1 }),
    close,
  };

  function judge({ header }: Entry): { name: string; isKept: boolean } {
    const name = header.name.replace(/^(\.\/)+/, '');
    const { size } = header;
    const isTable = /(^|\/)metadata\.(csv|jsonl)$/.test(name);
    const { type } = readName(name);
    let isKept = false;
    if (header.type === 'directory') return { name, isKept };
    if (header.type !== 'file' && header.type !== 'contiguous-file') listing.skip(name, `a ${header.type}`);
    else if (size > LARGEST_FILE && !isTable && type !== 'ignored') listing.refuse(name, tooLarge(size));
    else if (type === 'file' || type === 'metadata') isKept = true;
    else listing.add(name, []);
    return { name, isKept };
  }
}

async function* unpacked(chunks: AsyncIterable<Buffer>, read: { bytes: number }): AsyncGenerator<Entry> {
  const counted = (async function* () {
    for await (const chunk of chunks) {
      read.bytes += chunk.length;
      yield chunk;
    }
  })();
  const iterator = counted[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new Error('The tar is empty.');
  const input = Readable.from(
    (async function* () {
      yield first.value;
      yield* { [Symbol.asyncIterator]: () => iterator };
    })(),
  );
  const isGzip = first.value[0] === 0x1f && first.value[1] === 0x8b;
  const entries = extract();
  // An error on the way in ends the entries with that error, and is told there.
  const running = (isGzip ? pipeline(input, createGunzip(), entries) : pipeline(input, entries)).catch(() => undefined);
  yield* entries as AsyncIterable<Entry>;
  await running;
}
