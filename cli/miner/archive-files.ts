/** The files in a downloaded archive, one after the other: a zip, or a gzipped tar. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { extract } from 'tar-stream';
import { openPromise } from 'yauzl';

export interface ArchiveFile {
  /** As the archive has it: with the folder that all is in. */
  path: string;
  /** To be read to its end, before the next file is asked for. */
  content: Readable;
}

/** @throws {Error} it is no such archive, or a damaged one */
export async function* filesOf(archive: string): AsyncGenerator<ArchiveFile> {
  if (await isGzip(archive)) yield* tarFiles(archive);
  else yield* zipFiles(archive);
}

async function* zipFiles(archive: string): AsyncGenerator<ArchiveFile> {
  const zip = await openPromise(archive, { lazyEntries: true, autoClose: false });
  try {
    for await (const entry of zip.eachEntry()) {
      if (entry.fileName.endsWith('/')) continue;
      yield { path: entry.fileName, content: await zip.openReadStreamPromise(entry) };
    }
  } finally {
    zip.close();
  }
}

async function* tarFiles(archive: string): AsyncGenerator<ArchiveFile> {
  const entries = extract();
  const reading = pipeline(createReadStream(archive), createGunzip(), entries);
  // Breaks off the iteration below, which is where it is heard of.
  reading.catch(() => undefined);
  for await (const entry of entries) {
    if (entry.header.type === 'file') yield { path: entry.header.name, content: entry as unknown as Readable };
    else entry.resume();
  }
  await reading;
}

async function isGzip(archive: string): Promise<boolean> {
  const file = await open(archive);
  try {
    const { buffer } = await file.read(Buffer.alloc(2), 0, 2, 0);
    return buffer.readUInt16BE(0) === 0x1f8b;
  } finally {
    await file.close();
  }
}
