/** What is found wrong with a stored archive, read back whole or confirmed by its store. */
import { createHash } from 'node:crypto';
import { mkdtemp, open, readFile, rm, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { ArchiveStore, ByteRange, WrittenObject } from '../../packager/archive-store/archive-store.js';
import { openFolderArchiveStore } from '../../packager/archive-store/folder-archive-store.js';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';
import { verifyArchive } from '../../packager/verify-archive.js';
import type { ZipContents } from '../../packager/zip/write-zip.js';
import { describeOn, startRadosgw, startTcpProxy } from '../servers/index.js';
import { from, makeZip, storedEntry } from './zip/entries.js';

const KEY = 'dumps/d1/1/a.zip';
const ENTRIES = 3000;

let folder: string;
let store: ArchiveStore;
let written: WrittenObject;
let contents: ZipContents;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-verify-'));
  store = openFolderArchiveStore(folder);
  const entries = Array.from({ length: ENTRIES }, (_, number) => storedEntry(`data/${number}`, `${number}`, 'store'));
  const zip = await makeZip(entries);
  contents = zip.contents;
  const { size, sha256 } = await store.write(KEY, from(zip.pieces), { mediaType: 'application/zip' });
  written = { size, sha256 };
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Bytes that were read back. */
async function verify(expected: WrittenObject, of: ZipContents | undefined = contents): Promise<number> {
  let read = 0;
  const options = { signal: new AbortController().signal, onBytes: (bytes: number) => void (read += bytes) };
  await verifyArchive(store, KEY, expected, of, options);
  return read;
}

describeOn('radosgw', 'an archive in S3', () => {
  test('whose reading breaks off is read again, and is no worse for that', async () => {
    const server = await startRadosgw();
    const proxy = await startTcpProxy(server.port);
    const far = openS3ArchiveStore({
      bucket: await server.createBucket(),
      endpoint: `http://127.0.0.1:${proxy.port}`,
      region: server.region,
      credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey },
    });
    try {
      const { size, sha256 } = await far.write(KEY, await store.read(KEY), { mediaType: 'application/zip' });
      expect({ size, sha256 }).toEqual(written);
      const connections = proxy.connections();
      proxy.cutAt(proxy.bytes() + size / 2);
      let read = 0;
      const options = { signal: new AbortController().signal, onBytes: (bytes: number) => void (read += bytes) };
      await verifyArchive(far, KEY, written, contents, options);
      expect(proxy.connections()).toBeGreaterThan(connections);
      expect(read).toBeGreaterThanOrEqual(size);
    } finally {
      await far.close();
      await proxy.close();
      await server.close();
    }
  }, 120_000);
});

async function flip(position: number): Promise<void> {
  const file = await open(join(folder, KEY), 'r+');
  const byte = Buffer.alloc(1);
  await file.read(byte, 0, 1, position);
  byte.writeUInt8(byte.readUInt8() ^ 1);
  await file.write(byte, 0, 1, position);
  await file.close();
}

const NOT_VERIFIED = { name: 'JobFailedError', code: 'archive-not-verified' };

describe('an archive that is read back', () => {
  test('is read whole', async () => {
    expect(await verify(written)).toBeGreaterThanOrEqual(written.size);
    expect(
      createHash('sha256')
        .update(await readFile(join(folder, KEY)))
        .digest('hex'),
    ).toBe(written.sha256);
  });

  test.each([
    ['in a document', () => 40],
    ['in its directory', () => contents.offset + 10],
    ['in its last record', () => written.size - 3],
  ])('is refused for one bit that changed %s', async (_where, position) => {
    await flip(position());
    await expect(verify(written)).rejects.toMatchObject(NOT_VERIFIED);
  });

  test('need not be a zip', async () => {
    await flip(written.size - 22);
    const sha256 = createHash('sha256')
      .update(await readFile(join(folder, KEY)))
      .digest('hex');
    await expect(verify({ ...written, sha256 })).rejects.toMatchObject(NOT_VERIFIED);
    const options = { signal: new AbortController().signal, onBytes: () => undefined };
    await verifyArchive(store, KEY, { ...written, sha256 }, undefined, options);
  });
});

describe('an archive that its store has confirmed', () => {
  beforeEach(() => {
    written = { ...written, confirmed: true };
  });

  test('has only its directory read back', async () => {
    const ranges: (ByteRange | undefined)[] = [];
    const read = store.read.bind(store);
    store.read = (key, range, signal) => {
      ranges.push(range);
      return read(key, range, signal);
    };
    await verify(written);
    expect(ranges.length).toBeGreaterThan(0);
    expect(ranges.at(-1)).toEqual({ start: contents.offset, end: contents.offset + contents.length - 1 });
    expect(ranges).not.toContain(undefined);
  });

  test.each([
    ['in its directory', () => contents.offset + 10],
    ['in its last record', () => written.size - 20],
  ])('is refused for one bit that changed %s', async (_where, position) => {
    await flip(position());
    await expect(verify(written)).rejects.toMatchObject(NOT_VERIFIED);
  });

  test('is refused when it is shorter than what was written, or gone', async () => {
    await truncate(join(folder, KEY), written.size - 1);
    await expect(verify(written)).rejects.toMatchObject(NOT_VERIFIED);
    await store.delete(KEY);
    await expect(verify(written)).rejects.toMatchObject(NOT_VERIFIED);
  });

  test('may hold nothing', async () => {
    const { pieces, contents: none } = await makeZip([]);
    written = { ...(await store.write(KEY, from(pieces), { mediaType: 'application/zip' })), confirmed: true };
    await verify(written, none);
  });
});
