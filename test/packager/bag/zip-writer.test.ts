/** The traps of archiver, made to happen. */
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createZipWriter, entryDate, type ZipWriter } from '../../../packager/bag/zip-writer.js';
import { readZip } from '../read-bag.js';

const MIB = 1024 * 1024;
const DATE = new Date('2026-11-22T01:00:00Z');

const uncaught: unknown[] = [];
const note = (error: unknown): void => void uncaught.push(error);
beforeEach(() => {
  uncaught.length = 0;
  process.on('uncaughtException', note);
  process.on('unhandledRejection', note);
});
afterEach(() => {
  process.off('uncaughtException', note);
  process.off('unhandledRejection', note);
  expect(uncaught).toEqual([]);
});

async function collect(zip: ZipWriter): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of zip.bytes) pieces.push(piece);
  return Buffer.concat(pieces);
}

describe('a zip', () => {
  test('holds what was added, in its order, with UTF-8 names flagged and the one date', async () => {
    const zip = createZipWriter(DATE);
    const reading = collect(zip);
    const pdf = randomBytes(100_000);
    await zip.add('top/a.txt', Buffer.from('a'.repeat(1000)));
    await zip.add('top/ü.pdf', pdf, { store: true });
    await zip.addStream('top/empty.txt', from());
    await zip.addStream('top/論文.csv', from(Buffer.from('x,y\n'), Buffer.from('1,2\n')));
    const contents = await zip.finish();
    const entries = await readZip(await reading);
    const names = ['top/a.txt', 'top/ü.pdf', 'top/empty.txt', 'top/論文.csv'];
    expect(entries.map(({ name }) => name)).toEqual(names);
    expect(contents).toEqual({
      entries: 4,
      namesSha256: createHash('sha256')
        .update(names.map((name) => `${name}\n`).join(''))
        .digest('hex'),
    });
    expect(entries.map(({ content }) => content.length)).toEqual([1000, 100_000, 0, 8]);
    expect(entries.map(({ entry }) => entry.compressionMethod)).toEqual([8, 0, 8, 8]);
    for (const { name, entry } of entries) {
      expect((entry.generalPurposeBitFlag & 0x800) !== 0).toBe(Buffer.byteLength(name) !== name.length);
      expect(entry.getLastModDate({ timezone: 'UTC', forceDosFormat: true })).toEqual(DATE);
      expect((entry.externalFileAttributes >>> 16) & 0o777).toBe(0o644);
    }
  });

  test('a source that fails in the middle of an entry fails the zip with that error, and nothing else', async () => {
    const zip = createZipWriter(DATE);
    const reading = collect(zip);
    const broken = new Error('the source broke');
    async function* source(): AsyncGenerator<Buffer> {
      yield Buffer.from('first');
      await new Promise(setImmediate);
      throw broken;
    }
    await zip.add('top/a', Buffer.from('a'));
    await expect(zip.addStream('top/b', source())).rejects.toBe(broken);
    await expect(reading).rejects.toBe(broken);
    await expect(zip.add('top/c', Buffer.from('c'))).rejects.toBe(broken);
    await expect(zip.finish()).rejects.toBe(broken);
  });

  test.each([true, false])(
    'never ends as if it were whole when it has failed (in the middle of an entry: %s)',
    async (within) => {
      const zip = createZipWriter(DATE);
      const reading = collect(zip);
      const failed = new Error('given up');
      const adding = within
        ? zip.add('top/a', randomBytes(8 * MIB))
        : zip.add('top/a', Buffer.from('a')).then(() => undefined);
      if (!within) await adding;
      zip.fail(failed);
      await expect(reading).rejects.toBe(failed);
      if (within) await expect(adding).rejects.toBe(failed);
    },
  );

  test('nobody waits for ever when the reader is gone', async () => {
    const zip = createZipWriter(DATE);
    const gone = new Error('the store is gone');
    const reading = (async () => {
      for await (const piece of zip.bytes) if (piece.length > 0) throw gone;
    })();
    reading.catch((error: unknown) => zip.fail(error));
    const adding = (async () => {
      for (let number = 0; number < 100; number++) await zip.add(`top/${number}`, randomBytes(MIB), { store: true });
    })();
    await expect(adding).rejects.toBe(gone);
    await expect(reading).rejects.toBe(gone);
  });

  test('holds back its writer where the reader is slow, for stored entries too', async () => {
    const zip = createZipWriter(DATE);
    let added = 0;
    let most = 0;
    let read = 0;
    const reading = (async () => {
      for await (const piece of zip.bytes) {
        read += piece.length;
        most = Math.max(most, added - read);
        await new Promise(setImmediate);
      }
    })();
    for (let number = 0; number < 60; number++) {
      added += MIB;
      await zip.add(`top/${number}`, randomBytes(MIB), { store: number % 2 === 0 });
    }
    await zip.finish();
    await reading;
    expect(most).toBeLessThan(6 * MIB);
  });

  test('100,000 entries are a valid ZIP64, whose directory takes no more memory than its own size', async () => {
    const zip = createZipWriter(DATE);
    const reading = collect(zip);
    for (let number = 0; number < 100_000; number++) await zip.add(`top/${number}`, Buffer.from('x'), { store: true });
    const before = process.memoryUsage().rss;
    await zip.finish();
    // It was 500 MB when archiver wrote it by itself.
    expect(process.memoryUsage().rss - before).toBeLessThan(250 * MIB);
    const entries = await readZip(await reading);
    expect(entries).toHaveLength(100_000);
    expect(entries.at(-1)?.name).toBe('top/99999');
  });
});

test('the date of entries is floored to two seconds and kept within what a zip can say', () => {
  expect(entryDate(new Date('2026-11-22T01:00:01.999Z')).toISOString()).toBe('2026-11-22T01:00:00.000Z');
  expect(entryDate(new Date('1970-01-01')).toISOString()).toBe('1980-01-01T00:00:00.000Z');
  expect(entryDate(new Date('2200-01-01')).getUTCFullYear()).toBe(2043);
  expect(entryDate(new Date('no date')).getUTCFullYear()).toBe(1980);
});

// eslint-disable-next-line @typescript-eslint/require-await -- a source whose bytes are there already
async function* from(...pieces: Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}
