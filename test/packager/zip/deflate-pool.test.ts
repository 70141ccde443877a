/** Contents that are deflated together: what comes out, and what becomes of the memory. */
import { randomBytes } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createContentGroup, type DeflatedContent } from '../../../packager/zip/deflate-pool.js';
import { LONGEST_SHORT, type BytesEntry } from '../../../packager/zip/entry.js';
import { readyEntries } from '../../../packager/zip/ready-entries.js';
import { from } from './entries.js';

const LEVEL = 6;
const WINDOWS = [9, 10, 11, 12, 13, 14, 15, 16].map((bits) => 2 ** bits);

/** Text that repeats itself over all distances. */
function textOf(length: number): Buffer {
  const words = Array.from({ length: Math.ceil(length / 4) }, (_, index) => `${(index * 7919) % 613} `);
  return Buffer.from(words.join('').slice(0, length));
}

/** Copies of what comes out of one group. */
async function deflated(contents: readonly Buffer[]): Promise<DeflatedContent[]> {
  const group = createContentGroup(LEVEL);
  for (const content of contents) expect(group.add(content)).toBe(true);
  const results = (await group.deflate()).map(({ bytes, crc32 }) => ({ bytes: Buffer.from(bytes), crc32 }));
  group.give();
  return results;
}

describe('contents that are deflated together', () => {
  test('give the bytes that zlib makes of each alone, however long it is', async () => {
    for (const window of WINDOWS) {
      const contents = [-263, -262, -261, -1, 0, 1].map((more) => textOf(window + more));
      const found = await deflated(contents);
      for (const [index, content] of contents.entries()) {
        const alone = deflateRawSync(content, { level: LEVEL, memLevel: 9 });
        expect(found[index]?.bytes.equals(alone)).toBe(true);
        expect(found[index]?.crc32).toBe(crc32(content));
      }
    }
  });

  test('are what they were where deflate makes them no smaller, whatever lies beside them', async () => {
    const content = fc.oneof(
      fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)),
      fc.integer({ min: 0, max: 60_000 }).map(textOf),
      fc.integer({ min: 0, max: 30_000 }).map((length) => randomBytes(length)),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(content, { maxLength: 8 }), async (contents) => {
        const found = await deflated(contents);
        expect(found).toHaveLength(contents.length);
        for (const [index, content] of contents.entries()) {
          const { bytes, crc32: checksum } = found[index] as DeflatedContent;
          expect(bytes.length).toBeLessThanOrEqual(content.length);
          expect(checksum).toBe(crc32(content));
          const isDeflated = bytes.length < content.length;
          expect((isDeflated ? inflateRawSync(bytes) : bytes).equals(content)).toBe(true);
        }
      }),
      { numRuns: 60 },
    );
  });

  test('are as many as there is room for, and two of the longest at the least', () => {
    const group = createContentGroup(LEVEL);
    expect([1, 2].map(() => group.add(Buffer.alloc(LONGEST_SHORT)))).toEqual([true, true]);
    expect(group.add(Buffer.alloc(1))).toBe(false);
    expect(group.add(Buffer.alloc(0))).toBe(true);
    group.give();
  });
});

test('the memory of entries is used again, those of archives that nobody reads to their end too', async () => {
  const entries = Array.from({ length: 100 }, (_, number): BytesEntry => {
    return { type: 'bytes', name: `${number}`, content: textOf(200_000) };
  });
  const memories = new Set<ArrayBufferLike>();
  for (let archive = 0; archive < 20; archive++) {
    for await (const batch of readyEntries(from([entries]))) {
      for (const { data } of batch) if (Buffer.isBuffer(data)) memories.add(data.buffer);
      if (archive % 2 === 0) break;
    }
    // What its threads were deflating then is given back once they are done: an archive that follows waits for them.
    await deflated([textOf(1000)]);
  }
  const bytes = [...memories].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(bytes).toBeLessThan(24 * 1024 * 1024);
});
