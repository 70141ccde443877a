/** The other container: archiver's traps made to happen, and its tree compared with the zip's. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { writeTarGz } from '../../../packager/bag/write-tar-gz.js';
import type { ArchiveEntry } from '../../../packager/zip/entry.js';
import { describeReaders } from '../../readers/describe-readers.js';
import { run } from '../../readers/readers.js';
import { DATE, from, oneByOne, storedEntry, streamedEntry, zipOf } from '../zip/entries.js';

const MIB = 1024 * 1024;

const unhandled: unknown[] = [];
const note = (error: unknown): void => void unhandled.push(error);
beforeEach(() => {
  unhandled.length = 0;
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
  expect(unhandled).toEqual([]);
});

async function tarOf(entries: AsyncIterable<ArchiveEntry>): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of writeTarGz(oneByOne(entries), { date: DATE })) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Of every kind, and with names that a plain header of a tar cannot hold. */
function everyKind(): ArchiveEntry[] {
  const text = 'the state of the union '.repeat(5000);
  return [
    storedEntry('top/data/a.txt', text, 'deflate'),
    storedEntry('top/data/論文-é-😀.pdf', randomBytes(100_000), 'store'),
    storedEntry('top/data/long.txt', text.repeat(20), 'deflate'),
    storedEntry('top/data/noise', randomBytes(3 * MIB), 'store'),
    { type: 'bytes', name: `top/data/${'n'.repeat(250)}.txt`, content: Buffer.from(text) },
    { type: 'bytes', name: 'top/data/empty', content: Buffer.alloc(0) },
    storedEntry('top/empty-too', '', 'store'),
  ];
}

async function treeOf(folder: string): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) tree.set(relative(folder, path), (await readFile(path)).toString('base64'));
  }
  return new Map([...tree].sort(([a], [b]) => (a < b ? -1 : 1)));
}

describeReaders(['unzip', 'bsdtar'], 'the same entries in a zip and in a tar', () => {
  test('unpack to the same tree', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'adit-containers-'));
    try {
      const entries = everyKind();
      // Streams are read once: each container has its own.
      await writeFile(join(folder, 'a.zip'), await zipOf(entries.map(split)));
      await writeFile(join(folder, 'a.tar.gz'), await tarOf(from(entries.map(split))));
      for (const kind of ['zip', 'tar']) await mkdir(join(folder, kind));
      await run('unzip', ['-q', join(folder, 'a.zip'), '-d', join(folder, 'zip')]);
      await run('bsdtar', ['-xf', join(folder, 'a.tar.gz'), '-C', join(folder, 'tar')]);
      const tree = await treeOf(join(folder, 'zip'));
      expect(tree.size).toBe(7);
      expect([...(await treeOf(join(folder, 'tar'))).entries()]).toEqual([...tree.entries()]);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe('a gzipped tar', () => {
  test('is the same bytes each time', async () => {
    const entries = [storedEntry('a', 'a'.repeat(5000), 'deflate'), storedEntry('b', 'b', 'store')];
    const first = await tarOf(from(entries));
    expect((await tarOf(from(entries))).equals(first)).toBe(true);
  });

  test('without entries is an empty tar', async () => {
    expect(gunzipSync(await tarOf(from([])))).toEqual(Buffer.alloc(1024));
  });

  test.each([
    ['between two entries', from([storedEntry('a', 'a', 'store')])],
    ['behind an entry of many pieces', from([streamedEntry(storedEntry('a', randomBytes(MIB), 'store'), 1000)])],
  ])('fails with the error of its source %s, and nothing else', async (_where, entries) => {
    const broken = new Error('the source broke');
    async function* source(): AsyncGenerator<ArchiveEntry> {
      yield* entries;
      await new Promise(setImmediate);
      throw broken;
    }
    await expect(tarOf(source())).rejects.toBe(broken);
  });

  test('fails with the error of data in the middle of an entry', async () => {
    const broken = new Error('the source broke');
    const data = (async function* () {
      yield randomBytes(100_000);
      await new Promise(setImmediate);
      throw broken;
    })();
    const facts = { size: 200_000, stored: 200_000, crc32: 0, method: 'store' } as const;
    await expect(tarOf(from([{ type: 'stored', name: 'a', ...facts, data }]))).rejects.toBe(broken);
  });

  test('fails where stored bytes make no such content', async () => {
    const entry = storedEntry('a', 'a'.repeat(1000), 'deflate');
    await expect(tarOf(from([{ ...entry, size: 999 }]))).rejects.toThrow();
    await expect(tarOf(from([{ ...entry, size: 1001 }]))).rejects.toThrow('a has 1000 bytes, not 1001');
    await expect(tarOf(from([{ ...entry, data: randomBytes(100) }]))).rejects.toThrow();
  });

  test('whose reader goes away ends its source', async () => {
    let isOver = false;
    let given = 0;
    async function* source(): AsyncGenerator<ArchiveEntry> {
      try {
        for (;;) {
          given += 1;
          yield { type: 'bytes', name: `${given}`, content: randomBytes(MIB) };
          await new Promise(setImmediate);
        }
      } finally {
        isOver = true;
      }
    }
    for await (const piece of writeTarGz(oneByOne(source()), { date: DATE })) if (piece.length > 0) break;
    expect(isOver).toBe(true);
  });

  test('holds back its source where the reader is slow', async () => {
    let given = 0;
    let most = 0;
    let taken = 0;
    async function* source(): AsyncGenerator<ArchiveEntry> {
      for (let number = 0; number < 60; number++) {
        given += MIB;
        most = Math.max(most, given - taken);
        yield { type: 'bytes', name: `${number}`, content: randomBytes(MIB) };
        await Promise.resolve();
      }
    }
    for await (const piece of writeTarGz(oneByOne(source()), { date: DATE })) {
      taken += piece.length;
      await new Promise(setImmediate);
    }
    expect(most).toBeLessThan(6 * MIB);
  });
});

/** Long ones come in pieces. */
const split = (entry: ArchiveEntry): ArchiveEntry =>
  entry.type === 'stored' && entry.size > MIB / 4 ? streamedEntry(entry, 9000) : entry;
