/** Archives made at random, read back by two programs that know nothing of us. */
import { createHash, randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { ArchiveEntry } from '../../../packager/zip/entry.js';
import { createZipLength } from '../../../packager/zip/zip-length.js';
import { describeReaders } from '../../readers/describe-readers.js';
import { readZip } from '../read-bag.js';
import { storedEntry, streamedEntry, zipOf } from './entries.js';

const RUNS = 60;

interface Planned {
  name: string;
  content: Buffer;
  form: 'deflate' | 'store' | 'streamed' | 'bytes';
}

/** Noise and text, up to some lengths that cross the sizes in which the engine gathers and cuts. */
const content = fc.oneof(
  { weight: 6, arbitrary: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)) },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 20_000 }).map((lines) => Buffer.from('a line of text\n'.repeat(lines))),
  },
  { weight: 1, arbitrary: fc.integer({ min: 500_000, max: 1_200_000 }).map((length) => randomBytes(length)) },
);
const name = fc
  .array(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }), { minLength: 1, maxLength: 3 })
  // What no path in a zip may have, and yauzl refuses.
  .map((parts) => parts.map((part) => part.replace(/[\\/:\0]|^\.+$/g, '_')).join('/'));
const archive = fc.uniqueArray(
  fc.record({ name, content, form: fc.constantFrom('deflate', 'store', 'streamed', 'bytes') }),
  { maxLength: 25, selector: (entry) => entry.name },
);

describeReaders(['python3'], 'archives made at random', () => {
  test('come back as they went in, and as long as was said', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'adit-zips-'));
    const expected: Record<string, [string, string][]> = {};
    try {
      await fc.assert(
        fc.asyncProperty(archive, async (planned) => {
          const entries = planned.map(entryOf);
          const length = createZipLength();
          for (const entry of entries) {
            if (entry.type === 'stored') length.add(entry);
          }
          const zip = await zipOf(entries);
          if (entries.every(({ type }) => type === 'stored')) expect(length.total()).toBe(zip.length);
          const found = await readZip(zip);
          expect(found.map(({ name }) => name)).toEqual(planned.map(({ name }) => name));
          expect(found.every(({ content }, index) => planned[index]?.content.equals(content))).toBe(true);
          const file = join(folder, `${Object.keys(expected).length}.zip`);
          await writeFile(file, zip);
          expected[file] = planned.map(({ name, content }) => [name, digestOf(content)]);
        }),
        { numRuns: RUNS },
      );
      await writeFile(join(folder, 'expected.json'), JSON.stringify(expected));
      const { stdout } = await promisify(execFile)('python3', ['-c', READ_ALL, join(folder, 'expected.json')]);
      expect(stdout.trim()).toBe(`${Object.keys(expected).length} archives are as expected`);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

const READ_ALL = `
import hashlib, json, sys, zipfile
expected = json.load(open(sys.argv[1], encoding='utf-8'))
for file, entries in expected.items():
    with zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None, file
        found = [[entry.filename, hashlib.sha256(archive.read(entry)).hexdigest()] for entry in archive.infolist()]
        assert found == entries, (file, found, entries)
print(len(expected), 'archives are as expected')
`;

function entryOf({ name, content, form }: Planned): ArchiveEntry {
  if (form === 'bytes') return { type: 'bytes', name, content };
  if (form === 'streamed') return streamedEntry(storedEntry(name, content, 'deflate'), 70_000);
  return storedEntry(name, content, form);
}

const digestOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex');
