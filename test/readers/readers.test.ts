/** Every program with which people open archives accepts ours, and finds in them what went in. */
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openPromise } from 'yauzl';
import { createBag } from '../../packager/bag/bag-entries.js';
import { createBagPlanner } from '../../packager/bag/plan-bag.js';
import type { FetchedDocument } from '../../packager/source/documents.js';
import type { Member } from '../../packager/source/members.js';
import { eachOf, makeZip, oneByOne } from '../packager/zip/entries.js';
import { ARCHIVES, digestOf, NAMES } from './archives.js';
import { describeReaders } from './describe-readers.js';
import { listWith, READERS, readWith, run } from './readers.js';

let folder: string;
const fileOf = (title: string): string => join(folder, `${title.replaceAll(/\W/g, '-')}.zip`);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-readers-'));
  for (const { title, entries } of ARCHIVES) await writeFile(fileOf(title), (await makeZip(entries())).pieces);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe.each(ARCHIVES)('$title', ({ title, entries }) => {
  const names = (): string[] => [...entries()].map(({ name }) => name);

  for (const reader of READERS) {
    describeReaders([reader], reader, () => {
      test('reads all of it', async () => {
        await readWith(reader, fileOf(title));
      });

      test('lists the names as they are', async () => {
        const listed = await listWith(reader, fileOf(title));
        // libarchive composes accents.
        const expected = reader === 'bsdtar' ? names().map((name) => name.normalize('NFC')) : names();
        if (listed !== undefined) expect(listed).toEqual(expected);
      });
    });
  }

  test('yauzl reads all of it', async () => {
    const zip = await openPromise(fileOf(title), { lazyEntries: true, strictFileNames: true });
    const found: string[] = [];
    for await (const entry of zip.eachEntry()) {
      found.push(entry.fileName);
      let size = 0;
      for await (const piece of await zip.openReadStreamPromise(entry)) size += (piece as Buffer).length;
      expect(size).toBe(entry.uncompressedSize);
    }
    expect(found).toEqual(names());
  });
});

describe('a reader that finds something wrong', () => {
  test.each(READERS)('%s would fail the test', async (reader) => {
    const { pieces } = await makeZip([{ type: 'bytes', name: 'a', content: Buffer.from('the union '.repeat(1000)) }]);
    const zip = Buffer.concat(pieces);
    const at = reader === 'jar' ? zip.length - 22 : 40;
    zip.writeUInt8(zip.readUInt8(at) ^ 0xff, at);
    await writeFile(join(folder, 'wrong.zip'), zip);
    await expect(readWith(reader, join(folder, 'wrong.zip'))).rejects.toThrow();
  });
});

describeReaders(['bagit', 'unzip', 'bsdtar'], 'a bag of documents with such names', () => {
  test.each(['unzip', 'bsdtar'] as const)('is valid once %s has unpacked it', async (program) => {
    const refs = [...NAMES.map((name) => name.replace(/\.txt$/, '')), '../../etc/passwd', 'con', '-rf', 'a/b\\c:d*%41'];
    await writeFile(join(folder, 'bag.zip'), await bagOf(refs));
    const unpacked = await mkdtemp(join(folder, `${program}-`));
    if (program === 'unzip') await run('unzip', ['-q', join(folder, 'bag.zip'), '-d', unpacked]);
    else await run('bsdtar', ['-xf', join(folder, 'bag.zip'), '-C', unpacked]);
    expect(await readdir(join(unpacked, 'docset-5/data'))).toHaveLength(refs.length);
    await run('bagit', ['--validate', '--quiet', join(unpacked, 'docset-5')]);
  });

  test('is not, when a byte of it was changed', async () => {
    const unpacked = await mkdtemp(join(folder, 'changed-'));
    await writeFile(join(folder, 'changed.zip'), await bagOf(['a', 'b']));
    await run('unzip', ['-q', join(folder, 'changed.zip'), '-d', unpacked]);
    await writeFile(join(unpacked, 'docset-5/data/a.txt'), 'A document');
    await expect(run('bagit', ['--validate', '--quiet', join(unpacked, 'docset-5')])).rejects.toThrow();
  });
});

/** One text for each ref. */
async function bagOf(refs: readonly string[]): Promise<Buffer> {
  const request = { docset: '5', formats: ['txt'], url: new URL('http://server/api/docsets/5?fmt=txt') };
  const planner = createBagPlanner(request);
  const documents = refs.map((ref): FetchedDocument => {
    const content = Buffer.from(`a document: ${ref}`);
    const sha256 = digestOf(content);
    const member: Member = { ref, files: { txt: { href: 'x', size: content.length, sha256 } } };
    return { member, files: [{ type: 'fetched', content, sha256, mediaType: 'text/plain' }] };
  });
  const members = documents.map(({ member }) => member);
  for (const member of members) await planner.add(member);
  const docset = { id: '5' } as never;
  const listing = {
    docset,
    size: refs.length,
    bytes: 0,
    storedBytes: 0,
    isStored: false,
    members: () => oneByOne(members),
    withdrawn: () => oneByOne([]),
  };
  const plan = await planner.finish(docset);
  const bag = createBag({ ...request, listing, plan, documents: oneByOne(documents), onDocument: () => undefined });
  return Buffer.concat((await makeZip(eachOf(bag.entries))).pieces);
}
