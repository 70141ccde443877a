/** What every content store has to do; run on a folder and on a real S3 server. */
import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import {
  ContentMissingError,
  type ByteSpan,
  type ContentStore,
} from '../../api-server/documents/content-store/content-store.js';

const MIB = 1024 * 1024;

/** Call inside a `describe`; `open` is called once, before the tests. */
export function contentStoreSuite(open: () => Promise<ContentStore>): void {
  let store: ContentStore;
  let prefix = '';
  let count = 0;
  const run = randomBytes(4).toString('hex');

  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());
  beforeEach(() => {
    prefix = `segments/c${run}-${count++}/`;
  });

  const keys = async (under = prefix): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list(under)) found.push(key);
    return found;
  };
  const read = async (key: string, span: ByteSpan): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of store.read(key, span)) pieces.push(piece);
    return Buffer.concat(pieces);
  };

  test.each([1, 100_000, 9 * MIB + 1])('%d bytes are read back as they came', async (size) => {
    const content = randomBytes(size);
    const pieces = cut(content, 7_001);
    await store.write(`${prefix}a`, pieces);
    expect((await read(`${prefix}a`, { start: 0, end: size })).equals(content)).toBe(true);
    const listed = [];
    for await (const object of store.list(prefix)) listed.push(object);
    expect(listed).toMatchObject([{ key: `${prefix}a`, size }]);
    expect(Math.abs(Date.now() - Number(listed[0]?.modified))).toBeLessThan(60_000);
  });

  test('a span is read alone, and an empty one without asking', async () => {
    await store.write(`${prefix}a`, [Buffer.from('01234'), Buffer.alloc(0), Buffer.from('56789')]);
    expect((await read(`${prefix}a`, { start: 2, end: 6 })).toString()).toBe('2345');
    expect((await read(`${prefix}a`, { start: 9, end: 10 })).toString()).toBe('9');
    expect((await read(`${prefix}a`, { start: 5, end: 5 })).length).toBe(0);
  });

  test('bytes that are not there are missing, whether some of them are or none', async () => {
    await store.write(`${prefix}a`, [Buffer.from('01234')]);
    await expect(read(`${prefix}a`, { start: 3, end: 6 })).rejects.toThrow(ContentMissingError);
    await expect(read(`${prefix}a`, { start: 5, end: 6 })).rejects.toThrow(ContentMissingError);
    await expect(read(`${prefix}none`, { start: 0, end: 1 })).rejects.toThrow(ContentMissingError);
  });

  test('a reader who leaves in the middle leaves nothing open', async () => {
    await store.write(`${prefix}a`, [randomBytes(5 * MIB)]);
    for (let reader = 0; reader < 60; reader++) {
      for await (const piece of store.read(`${prefix}a`, { start: 0, end: 5 * MIB })) {
        expect(piece.length).toBeGreaterThan(0);
        break;
      }
    }
    expect((await read(`${prefix}a`, { start: 0, end: 5 * MIB })).length).toBe(5 * MIB);
  });

  test('lists what is under a prefix in the order of the keys, and nothing else', async () => {
    for (const name of ['b/2', 'a', 'b/1', 'b0']) await store.write(`${prefix}${name}`, [Buffer.from(name)]);
    await store.write(`${prefix.slice(0, -1)}9/other`, [Buffer.from('x')]);
    expect(await keys()).toEqual(['a', 'b/1', 'b/2', 'b0'].map((name) => `${prefix}${name}`));
    expect(await keys(`${prefix}b/`)).toEqual([`${prefix}b/1`, `${prefix}b/2`]);
    expect(await keys(`${prefix}none/`)).toEqual([]);
  });

  test('deletes an object, and is content where there is none', async () => {
    await store.write(`${prefix}a`, [Buffer.from('a')]);
    await store.delete(`${prefix}a`);
    await store.delete(`${prefix}a`);
    expect(await keys()).toEqual([]);
    expect(await store.sweepUnfinished(prefix, new Date(Date.now() + 1_000))).toBe(0);
  });

  test.each(['../x', 'a//b', '/a', 'a/./b', 'a/../b', '.hidden', 'a b', 'a\\b', ''])(
    'refuses the key %j',
    async (key) => {
      await expect(async () => store.write(key, [Buffer.from('x')])).rejects.toThrow(RangeError);
      await expect(async () => read(key, { start: 0, end: 1 })).rejects.toThrow(RangeError);
      await expect(async () => store.delete(key)).rejects.toThrow(RangeError);
    },
  );
}

export function cut(content: Buffer, size: number): Buffer[] {
  const pieces: Buffer[] = [];
  for (let start = 0; start < content.length; start += size) pieces.push(content.subarray(start, start + size));
  return pieces;
}
