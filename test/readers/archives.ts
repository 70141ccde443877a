/** The archives that every reader has to accept. */
import { createHash, randomBytes } from 'node:crypto';
import { constants, crc32, deflateRawSync } from 'node:zlib';
import type { ArchiveEntry, StoredEntry } from '../../packager/zip/entry.js';
import { storedEntry } from '../packager/zip/entries.js';

export interface TestArchive {
  title: string;
  entries: () => Iterable<ArchiveEntry>;
}

/** As long as a name may be on the usual file systems. */
const LONGEST = 'ü'.repeat(125) + '.text';

/** Refs of documents as the world has them. */
export const NAMES = [
  '一九九〇年政府工作報告.txt',
  'خطاب حالة الاتحاد.txt',
  '😀👩‍👩‍👧‍👦🇺🇳.txt',
  'cafe\u0301 nai\u0308ve.txt',
  'Ärger-é-ñ.txt',
  'हिन्दी में भाषण.txt',
  'case.txt',
  'CASE.txt',
  'Case.txt',
  ' a space, a "quote" & a $dollar;.txt',
  'a'.repeat(251) + '.txt',
  LONGEST,
];

export const ARCHIVES: readonly TestArchive[] = [
  { title: 'no entry', entries: () => [] },
  { title: 'one entry', entries: () => [storedEntry('docset-5/data/1.txt', 'one', 'store')] },
  {
    title: 'names in every script',
    entries: () => NAMES.map((name) => storedEntry(`docset-5/data/${name}`, name, 'store')),
  },
  {
    title: 'empty documents',
    entries: () => [
      storedEntry('empty-stored', '', 'store'),
      // Two bytes that inflate to nothing.
      storedEntry('empty-deflated', '', 'deflate'),
      { type: 'bytes', name: 'empty', content: Buffer.alloc(0) },
    ],
  },
  {
    title: 'documents that do not compress',
    entries: () => [
      storedEntry('noise-stored', randomBytes(1_000_000), 'store'),
      storedEntry('noise-deflated', randomBytes(1_000_000), 'deflate'),
      { type: 'bytes', name: 'noise', content: randomBytes(3_000_000) },
    ],
  },
  {
    title: 'a document deflated in many pieces',
    entries: () => [{ type: 'bytes', name: 'long', content: Buffer.from('the state of the union '.repeat(300_000)) }],
  },
  {
    title: '70,000 entries',
    *entries() {
      for (let number = 0; number < 70_000; number++) {
        yield storedEntry(
          `docset-5/data/${number % 10 === 0 ? '文書' : 'document'}-${number}.txt`,
          `${number}`,
          'store',
        );
      }
    },
  },
];

const MIB = 1024 * 1024;
const OVER_4_GIB = 4096 * MIB + 5 * MIB;

/** Gigabytes that cost little to make: their pieces are one and the same. */
export const LARGE_ARCHIVES: readonly TestArchive[] = [
  {
    title: 'an entry over 4 GiB that takes 4 MiB',
    entries: () => [zeros('large-deflated', OVER_4_GIB, 'deflate'), storedEntry('behind', 'behind', 'store')],
  },
  {
    title: 'an entry over 4 GiB, and others behind it',
    entries: () => [
      storedEntry('before', 'before', 'store'),
      zeros('large', OVER_4_GIB, 'store'),
      storedEntry('behind', 'b'.repeat(1000), 'deflate'),
      storedEntry('論文', 'behind', 'store'),
    ],
  },
  {
    title: 'an archive over 4 GiB of small entries, more than 65,535 of them',
    *entries() {
      const content = randomBytes(65_536);
      const facts = { method: 'store', size: content.length, stored: content.length, crc32: crc32(content) } as const;
      for (let number = 0; number < 66_000; number++)
        yield { type: 'stored', name: `${number}`, ...facts, data: content };
    },
  },
];

/** An entry of zeros; `size` is a whole number of MiB. */
function zeros(name: string, size: number, method: StoredEntry['method']): StoredEntry {
  const piece = Buffer.alloc(MIB);
  const count = size / MIB;
  // Flushed to a byte's border, with nothing that refers to what was before: such pieces can stand behind each other.
  const flushed = deflateRawSync(piece, { finishFlush: constants.Z_FULL_FLUSH });
  const last = deflateRawSync(Buffer.alloc(0));
  let crc = 0;
  for (let number = 0; number < count; number++) crc = crc32(piece, crc);
  async function* data(): AsyncGenerator<Buffer> {
    for (let number = 0; number < count; number++) yield method === 'store' ? piece : flushed;
    if (method === 'deflate') yield last;
    await Promise.resolve();
  }
  const stored = method === 'store' ? size : count * flushed.length + last.length;
  return { type: 'stored', name, method, size, stored, crc32: crc, data: data() };
}

export const digestOf = (content: Buffer | string): string => createHash('sha256').update(content).digest('hex');
