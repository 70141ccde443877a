/** The records of a zip as two readers find them, and what the engine promises of its memory and its failures. */
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { fromRandomAccessReaderPromise, RandomAccessReader, type Entry, type ZipFile } from 'yauzl';
import { dosTime, entryDate } from '../../../packager/zip/dos-time.js';
import { LONGEST_SHORT, type ArchiveEntry, type StoredEntry } from '../../../packager/zip/entry.js';
import { writeZip, type ZipContents } from '../../../packager/zip/write-zip.js';
import { createZipLength } from '../../../packager/zip/zip-length.js';
import { readZip } from '../read-bag.js';
import { DATE, makeZip, oneByOne, storedEntry, streamedEntry, zipOf } from './entries.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

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

describe('a zip', () => {
  test('holds what was given, in its order, every name flagged as UTF-8, and the one date', async () => {
    const pdf = randomBytes(100_000);
    const zip = await zipOf([
      storedEntry('top/a.txt', 'a'.repeat(1000), 'deflate'),
      storedEntry('top/ü.pdf', pdf, 'store'),
      { type: 'bytes', name: 'top/empty.txt', content: Buffer.alloc(0) },
      { type: 'bytes', name: 'top/論文.csv', content: Buffer.from('x,y\n'.repeat(50)) },
      { type: 'bytes', name: 'top/noise', content: pdf },
      { type: 'bytes', name: 'top/as-it-is', content: Buffer.from('z'.repeat(500)), store: true },
    ]);
    const found = await readZip(zip);
    expect(found.map(({ name, content, entry }) => [name, content.length, entry.compressionMethod])).toEqual([
      ['top/a.txt', 1000, 8],
      ['top/ü.pdf', 100_000, 0],
      ['top/empty.txt', 0, 0],
      ['top/論文.csv', 200, 8],
      ['top/noise', 100_000, 0],
      ['top/as-it-is', 500, 0],
    ]);
    expect(found[4]?.content.equals(pdf)).toBe(true);
    for (const { entry } of found) {
      // Bit 3 would mean that the sizes come after the data.
      expect(entry.generalPurposeBitFlag).toBe(0x800);
      expect(entry.getLastModDate({ timezone: 'UTC', forceDosFormat: true })).toEqual(DATE);
      expect(entry.externalFileAttributes >>> 16).toBe(0o100644);
      expect(entry.versionNeededToExtract).toBe(20);
      expect(entry.extraFields).toEqual([]);
    }
  });

  test('is the same whatever the pieces in which its data come', async () => {
    const entries = [
      storedEntry('a', randomBytes(3 * MIB), 'store'),
      storedEntry('b', 'b'.repeat(100_000), 'deflate'),
      storedEntry('c', randomBytes(700_000), 'store'),
    ];
    const whole = await zipOf(entries);
    for (const length of [999, 65_536, MIB]) {
      const pieces = await zipOf(entries.map((entry) => streamedEntry(entry, length)));
      expect(pieces.equals(whole)).toBe(true);
    }
  });

  test('is the same where its memory is used again', async () => {
    const entries = (): ArchiveEntry[] => [
      storedEntry('a', 'a'.repeat(5 * MIB), 'store'),
      streamedEntry(storedEntry('b', 'b'.repeat(2 * MIB), 'store'), 1_000_000),
      { type: 'bytes', name: 'c', content: Buffer.from('c'.repeat(MIB)) },
      storedEntry('d', 'd'.repeat(MIB), 'store'),
      { type: 'bytes', name: 'e', content: Buffer.from('e'.repeat(LONGEST_SHORT)) },
      { type: 'bytes', name: 'f', content: Buffer.from('f'.repeat(5000)), store: true },
      { type: 'bytes', name: 'g', content: Buffer.from('g'.repeat(5000)) },
    ];
    const whole = await zipOf(entries());
    const copies: Buffer[] = [];
    for await (const piece of writeZip(oneByOne(scribbledOver(entries())), { date: DATE })) {
      copies.push(Buffer.from(piece));
    }
    expect(Buffer.concat(copies).equals(whole)).toBe(true);
  });

  test.each([1, 7, 100, 4096, 8 * MIB])(
    'fills memory of %i bytes that is given to it, and the last only in part',
    async (length) => {
      const entries = (): ArchiveEntry[] => [
        storedEntry('first', 'first '.repeat(50), 'store'),
        streamedEntry(storedEntry('資料'.repeat(40), 'b'.repeat(9000), 'deflate'), 999),
        { type: 'bytes', name: 'c', content: Buffer.from('c'.repeat(5000)) },
        storedEntry('empty', '', 'store'),
      ];
      const pieces: Buffer[] = [];
      let contents: ZipContents | undefined;
      const given: Buffer[] = [];
      const nextMemory = (): Buffer => given[given.push(Buffer.alloc(length)) - 1] as Buffer;
      const options = { date: DATE, nextMemory, onFinished: (found: ZipContents) => (contents = found) };
      for await (const piece of writeZip(oneByOne(entries()), options)) pieces.push(piece);
      const zip = Buffer.concat(pieces);
      expect(zip.equals(await zipOf(entries()))).toBe(true);
      expect(pieces.slice(0, -1).every((piece, index) => piece === given[index])).toBe(true);
      expect(pieces.length).toBe(given.length);
      const { offset = NaN, length: directoryLength = NaN, directorySha256 } = contents ?? {};
      const directory = zip.subarray(offset, offset + directoryLength);
      expect(createHash('sha256').update(directory).digest('hex')).toBe(directorySha256);
    },
  );

  test('is the same in every time zone', async () => {
    const before = process.env['TZ'];
    try {
      const zips: Buffer[] = [];
      for (const zone of ['UTC', 'Pacific/Auckland', 'America/St_Johns']) {
        process.env['TZ'] = zone;
        zips.push(await zipOf([storedEntry('a', 'a', 'store')]));
      }
      expect(zips.every((zip) => zip.equals(zips[0] ?? Buffer.alloc(0)))).toBe(true);
    } finally {
      if (before === undefined) delete process.env['TZ'];
      else process.env['TZ'] = before;
    }
  });

  test('without entries is the end record alone', async () => {
    expect((await zipOf([])).length).toBe(22);
  });

  test('deflates a long content in pieces that make one stream, no larger than if it were one piece', async () => {
    const line = (number: number): string => `${number} ${'the state of the union '.repeat(number % 7)}\n`;
    const content = Buffer.from(Array.from({ length: 60_000 }, (_, number) => line(number)).join(''));
    expect(content.length).toBeGreaterThan(4 * MIB);
    const [found] = await readZip(await zipOf([{ type: 'bytes', name: 'long', content }]));
    expect(found?.content.equals(content)).toBe(true);
    const { stored } = storedEntry('long', content, 'deflate');
    expect(found?.entry.compressedSize).toBeLessThan(stored * 1.01);
  });

  test('keeps the order of its entries, whichever is deflated first', async () => {
    const entries = Array.from({ length: 300 }, (_, number): ArchiveEntry => {
      const content = Buffer.from(`${number} `.repeat(number % 3 === 0 ? 50_000 : 5));
      return number % 5 === 0
        ? streamedEntry(storedEntry(`${number}`, content, 'deflate'), 100)
        : { type: 'bytes', name: `${number}`, content };
    });
    const found = await readZip(await zipOf(entries));
    expect(found.map(({ name }) => name)).toEqual(entries.map(({ name }) => name));
    for (const { name, content } of found) expect(content.toString().startsWith(`${name} `)).toBe(true);
  });

  test('says of its directory what a reader finds', async () => {
    const { pieces, contents } = await makeZip(
      Array.from({ length: 20_000 }, (_, number) => storedEntry(`data/${number}.txt`, `${number}`, 'store')),
    );
    const zip = Buffer.concat(pieces);
    const directory = zip.subarray(contents.offset, contents.offset + contents.length);
    expect(contents.entries).toBe(20_000);
    expect(contents.directorySha256).toBe(createHash('sha256').update(directory).digest('hex'));
    expect(zip.length - contents.offset - contents.length).toBe(22);
    expect(directory.readUInt32LE(0)).toBe(0x02014b50);
    // Few large pieces, whatever the number of entries.
    expect(pieces.length).toBeLessThan(10);
  });
});

describe('ZIP64', () => {
  test.each([
    [65_534, 22],
    [65_535, 22 + 76],
  ])('with %i entries the end is %i bytes long', async (entries, end) => {
    const { pieces, contents } = await makeZip(
      (function* () {
        for (let number = 0; number < entries; number++) yield storedEntry(`${number}`, 'x', 'store');
      })(),
    );
    const zip = Buffer.concat(pieces);
    expect(zip.length - contents.offset - contents.length).toBe(end);
    expect(await readZip(zip)).toHaveLength(entries);
  });

  test.each([0xfffffffe, 0xffffffff, 0x100000001])('an entry of %i bytes is found with its size', async (size) => {
    const entries = [zeros('large', size), storedEntry('behind', 'b', 'store')];
    const { pieces, contents } = await makeZip(entries);
    expect(contents.entries).toBe(2);
    expect(totalOf(pieces)).toBe(lengthOf(entries));
    const [large, behind] = await directoryOf(pieces);
    const isZip64 = size >= 0xffffffff;
    expect(large).toMatchObject({ uncompressedSize: size, compressedSize: size, relativeOffsetOfLocalHeader: 0 });
    expect(large?.extraFields.map(({ id, data }) => [id, data.length])).toEqual(isZip64 ? [[1, 16]] : []);
    expect(large?.versionNeededToExtract).toBe(isZip64 ? 45 : 20);
    expect(behind?.relativeOffsetOfLocalHeader).toBe(30 + 5 + (isZip64 ? 20 : 0) + size);
    expect(behind?.extraFields.map(({ id, data }) => [id, data.length])).toEqual([[1, 8]]);
    expect(behind?.uncompressedSize).toBe(1);
  });

  test('ends whole where its last records lie across two pieces of output', async () => {
    // A directory that fills the first piece but for 50 bytes, of the 98 that follow it.
    const PIECE = 512 * 1024;
    const first = 46 + 'large'.length + 20;
    const longNames = 8 * (46 + 60_000 + 12);
    const last = PIECE - 50 - first - longNames - 46 - 12;
    const names = [...Array.from({ length: 8 }, (_, number) => `${number}`.padEnd(60_000, 'n')), 'l'.repeat(last)];
    const { pieces, contents } = await makeZip([
      zeros('large', 0x100000001),
      ...names.map((name) => storedEntry(name, 'x', 'store')),
    ]);
    expect(contents.length).toBe(PIECE - 50);
    expect(totalOf(pieces)).toBe(contents.offset + contents.length + 98);
    expect((await directoryOf(pieces)).map(({ fileName }) => fileName)).toEqual(['large', ...names]);
  });

  test('is left out where everything fits, to the last byte', async () => {
    // The local header takes 31 bytes: the second one lies at the last offset that a plain field can say.
    const { pieces } = await makeZip([zeros('a', 0xfffffffe - 31), storedEntry('b', 'b', 'store')]);
    const entries = await directoryOf(pieces);
    expect(entries.map(({ extraFields }) => extraFields.length)).toEqual([0, 0]);
    expect(entries[1]?.relativeOffsetOfLocalHeader).toBe(0xfffffffe);
  });
});

describe('the length', () => {
  test('is known before the first byte', async () => {
    const entries = [
      storedEntry('a/ü', 'a'.repeat(10_000), 'deflate'),
      storedEntry('b', randomBytes(MIB), 'store'),
      storedEntry('論文.txt', '', 'store'),
    ];
    expect(lengthOf(entries)).toBe((await zipOf(entries)).length);
    expect(lengthOf([])).toBe(22);
  });
});

describe('what fails', () => {
  const broken = new Error('the source broke');

  test('the source between two entries fails the zip with its own error', async () => {
    await expect(
      makeZip(
        (async function* () {
          yield storedEntry('a', 'a', 'store');
          await new Promise(setImmediate);
          throw broken;
        })(),
      ),
    ).rejects.toBe(broken);
  });

  test('the source behind entries that are still being deflated does too', async () => {
    await expect(
      makeZip(
        (async function* () {
          for (let number = 0; number < 5; number++) {
            yield { type: 'bytes' as const, name: `${number}`, content: randomBytes(2 * MIB) };
          }
          await new Promise(setImmediate);
          throw broken;
        })(),
      ),
    ).rejects.toBe(broken);
  });

  test('data in the middle of an entry do too', async () => {
    const data = (async function* () {
      yield Buffer.from('first');
      await new Promise(setImmediate);
      throw broken;
    })();
    const entry: ArchiveEntry = { type: 'stored', name: 'a', method: 'store', size: 9, stored: 9, crc32: 0, data };
    await expect(makeZip([entry])).rejects.toBe(broken);
  });

  test.each([-1, 1])('data whose length is not the announced one (by %i bytes) make no zip', async (difference) => {
    const entry = storedEntry('a', 'abc', 'store');
    await expect(makeZip([{ ...entry, stored: entry.stored - difference }])).rejects.toThrow(
      /^a has 3 bytes to store, not the \d/,
    );
    await expect(makeZip([streamedEntry({ ...entry, stored: 3 - difference }, 1)])).rejects.toThrow(RangeError);
  });

  test('a name of 65,535 bytes fits, one byte more does not', async () => {
    const longest = `${'n'.repeat(65_533)}ü`;
    expect((await readZip(await zipOf([storedEntry(longest, 'x', 'store')])))[0]?.name).toBe(longest);
    await expect(makeZip([storedEntry(`${longest}n`, 'x', 'store')])).rejects.toThrow(RangeError);
  });

  test('a consumer that goes away ends the source, and nothing goes on behind it', async () => {
    let given = 0;
    let isOver = false;
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
    for await (const piece of writeZip(oneByOne(source()), { date: DATE })) if (piece.length > 0) break;
    expect(isOver).toBe(true);
    const before = given;
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    expect(given).toBe(before);
  });
});

describe('what is read ahead', () => {
  test('is nothing where every entry is in its stored form', async () => {
    let given = 0;
    async function* source(): AsyncGenerator<ArchiveEntry> {
      for (let number = 0; number < 40; number++) {
        given += 1;
        yield storedEntry(`${number}`, randomBytes(MIB), 'store');
        await Promise.resolve();
      }
    }
    let taken = 0;
    for await (const piece of writeZip(oneByOne(source()), { date: DATE })) {
      taken += piece.length;
      expect(given * MIB - taken).toBeLessThan(2 * MIB);
    }
  });

  test('is a few entries where they are deflated, whatever their number', async () => {
    let given = 0;
    let most = 0;
    async function* source(): AsyncGenerator<ArchiveEntry> {
      for (let number = 0; number < 60; number++) {
        given += 1;
        yield { type: 'bytes', name: `${number}`, content: randomBytes(MIB) };
        await Promise.resolve();
      }
    }
    let taken = 0;
    for await (const piece of writeZip(oneByOne(source()), { date: DATE })) {
      taken += piece.length;
      most = Math.max(most, given * MIB - taken);
    }
    expect(most).toBeGreaterThan(4 * MIB);
    expect(most).toBeLessThan(19 * MIB);
  });
});

test('a million entries keep their directory in a fraction of its size', async () => {
  let before = 0;
  async function* source(): AsyncGenerator<ArchiveEntry> {
    const data = Buffer.from('x');
    for (let number = 0; number < 1_000_000; number++) {
      if (number === 50_000) before = process.memoryUsage().rss;
      const name = `docset-5/data/some-journal-${1_000_000 + number * 7}.txt`;
      const crc32 = Math.imul(number, 0x9e3779b1) >>> 0;
      yield { type: 'stored', name, method: 'store', size: 1, stored: 1, crc32, data };
    }
    await Promise.resolve();
  }
  let length = 0;
  for await (const piece of writeZip(oneByOne(source()), { date: DATE })) length += piece.length;
  expect(length).toBeGreaterThan(150_000_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(60 * MIB);
});

describe('the date of entries', () => {
  test('is floored to two seconds and kept within what a zip can say', () => {
    expect(entryDate(new Date('2026-11-22T01:00:01.999Z')).toISOString()).toBe('2026-11-22T01:00:00.000Z');
    expect(entryDate(new Date('1970-01-01')).toISOString()).toBe('1980-01-01T00:00:00.000Z');
    expect(entryDate(new Date('2200-01-01')).toISOString()).toBe('2107-12-31T23:59:58.000Z');
    expect(entryDate(new Date('no date')).getUTCFullYear()).toBe(1980);
  });

  test('is written in 16 bits each', () => {
    expect(dosTime(new Date('1980-01-01T00:00:00Z'))).toEqual({ time: 0, date: 0x21 });
    expect(dosTime(new Date('2107-12-31T23:59:58Z'))).toEqual({ time: 0xbf7d, date: 0xff9f });
  });
});

/** A source that uses its memory again as soon as the next entry is asked for. */
async function* scribbledOver(entries: Iterable<ArchiveEntry>): AsyncGenerator<ArchiveEntry> {
  for (const entry of entries) {
    yield entry;
    if (entry.type === 'stored' && Buffer.isBuffer(entry.data)) entry.data.fill(0);
    if (entry.type === 'bytes' && entry.content.length <= LONGEST_SHORT) entry.content.fill(0);
    await Promise.resolve();
  }
}

/** An entry of zeros, whose Buffers are one and the same. */
function zeros(name: string, size: number): StoredEntry {
  const piece = Buffer.alloc(4 * MIB);
  const data = (async function* () {
    for (let left = size; left > 0; left -= piece.length) yield piece.subarray(0, left);
    await Promise.resolve();
  })();
  return { type: 'stored', name, method: 'store', size, stored: size, crc32: 0, data };
}

function lengthOf(entries: readonly StoredEntry[]): number {
  const length = createZipLength();
  for (const entry of entries) length.add(entry);
  return length.total();
}

const totalOf = (pieces: readonly Buffer[]): number => pieces.reduce((sum, piece) => sum + piece.length, 0);

/** The directory as yauzl reads it, out of pieces that would be too long as one Buffer. */
async function directoryOf(pieces: readonly Buffer[]): Promise<Entry[]> {
  const starts: number[] = [];
  let total = 0;
  for (const piece of pieces) {
    starts.push(total);
    total += piece.length;
  }
  expect(total).toBeGreaterThan(3 * GIB);
  const reader = new (class extends RandomAccessReader {
    override read(
      buffer: Buffer,
      offset: number,
      length: number,
      position: number,
      callback: (error: Error | null) => void,
    ) {
      for (const [index, start] of starts.entries()) {
        const piece = pieces[index] ?? Buffer.alloc(0);
        const from = Math.max(position, start);
        const to = Math.min(position + length, start + piece.length);
        if (from < to) piece.copy(buffer, offset + from - position, from - start, to - start);
      }
      callback(null);
    }
  })();
  const zip: ZipFile = await fromRandomAccessReaderPromise(reader, total, { lazyEntries: true });
  const entries: Entry[] = [];
  for await (const entry of zip.eachEntry()) entries.push(entry);
  return entries;
}
