/** Archives in which something is wrong are found out, and what it is is named. */
import { createHash } from 'node:crypto';
import { createWriteStream, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterAll, describe, expect, test } from '@jest/globals';
import { TarArchive, ZipArchive } from 'archiver';
import { verifyBag } from '../../cli/miner/verify-bag.js';
import { makeRunFolder } from '../servers/run-folder.js';

type Files = [name: string, content: string][];

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');
const manifestOf = (files: Files): string => files.map(([name, text]) => `${digest(text)}  ${name}\n`).join('');

/** A bag that is right; `%` is one of the three characters that manifests write in another way. */
function bag(): { payload: Files; tags: Files } {
  const payload: Files = Array.from({ length: 40 }, (_, index) => [`data/doc-${index}.txt`, `Document ${index}\n`]);
  payload.push(['data/100%.json', '{}']);
  const tags: Files = [
    ['bagit.txt', 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n'],
    ['bag-info.txt', 'Licence: CC0-1.0\n'],
    ['manifest-sha256.txt', manifestOf(payload).replace('100%', '100%25')],
  ];
  tags.push(['tagmanifest-sha256.txt', manifestOf(tags)]);
  return { payload, tags };
}

describe.each(['zip', 'tar.gz'] as const)('a bag as %s', (container) => {
  const folder = makeRunFolder('bags');
  afterAll(() => folder.remove());
  let count = 0;

  async function archiveOf(files: Files, top = 'docset-1/'): Promise<string> {
    const path = join(folder.path, `${(count += 1)}.${container}`);
    const archive = container === 'zip' ? new ZipArchive() : new TarArchive({ gzip: true });
    for (const [name, content] of files) archive.append(content, { name: `${name === '../x' ? '' : top}${name}` });
    await Promise.all([pipeline(archive, createWriteStream(path)), archive.finalize()]);
    return path;
  }

  test('in which everything is right is described', async () => {
    const { payload, tags } = bag();
    expect(await verifyBag(await archiveOf([...payload, ...tags]))).toEqual({
      folder: 'docset-1',
      payload: { txt: 40, json: 1 },
      verified: 44,
      bytes: [...payload, ...tags].reduce((sum, [, text]) => sum + text.length, 0),
      info: 'Licence: CC0-1.0\n',
    });
  });

  test('may have its manifest before its payload', async () => {
    const { payload, tags } = bag();
    expect((await verifyBag(await archiveOf([...tags, ...payload.reverse()]))).verified).toBe(44);
  });

  const change = (files: Files, name: string, text: string): Files =>
    files.map(([own, content]) => [own, own === name ? text : content]);
  const without = (files: Files, name: string): Files => files.filter(([own]) => own !== name);

  test.each<[string, (files: Files) => Files, string]>([
    [
      'a file is other than it was',
      (files) => change(files, 'data/doc-7.txt', 'Document 8\n'),
      'data/doc-7.txt does not have',
    ],
    [
      'a file is missing',
      (files) => without(files, 'data/doc-7.txt'),
      'data/doc-7.txt is in manifest-sha256.txt, but not in',
    ],
    ['a file is too much', (files) => [...files, ['data/more.txt', '']], 'data/more.txt is not in manifest-sha256.txt'],
    ['a file is there twice', (files) => [...files, ['data/doc-7.txt', 'Document 7\n']], 'data/doc-7.txt is not in'],
    [
      'two files have changed places',
      (files) => swap(files),
      'does not have the checksum that manifest-sha256.txt gives',
    ],
    [
      'its description was changed',
      (files) => change(files, 'bag-info.txt', 'Licence: mine\n'),
      'bag-info.txt does not have',
    ],
    ['its manifest is missing', (files) => without(files, 'manifest-sha256.txt'), 'has no manifest-sha256.txt'],
    ['it says not that it is a bag', (files) => without(files, 'bagit.txt'), 'has no bagit.txt'],
    [
      'its manifest is none',
      (files) => change(files, 'manifest-sha256.txt', 'hello\n'),
      'a line that is no checksum: hello',
    ],
    ['a file lies outside', (files) => [...files, ['../x', 'x']], 'x'],
    ['nothing is in it', () => [], 'has no bagit.txt'],
  ])('is refused where %s', async (_what, spoil, sentence) => {
    const { payload, tags } = bag();
    await expect(archiveOf(spoil([...payload, ...tags])).then(verifyBag)).rejects.toThrow(sentence);
  });

  test('is refused where it is cut off, and where it is no archive', async () => {
    const { payload, tags } = bag();
    const path = await archiveOf([...payload, ...tags]);
    const bytes = readFileSync(path);
    truncateSync(path, bytes.length - 200);
    await expect(verifyBag(path)).rejects.toThrow();
    writeFileSync(path, Buffer.concat([bytes.subarray(0, 2), Buffer.from('not an archive at all')]));
    await expect(verifyBag(path)).rejects.toThrow();
  });
});

function swap(files: Files): Files {
  const content = new Map(files);
  const [one, other] = ['data/doc-3.txt', 'data/doc-4.txt'];
  return files.map(([name, text]) => {
    if (name === one) return [name, content.get(other) ?? ''];
    return [name, name === other ? (content.get(one) ?? '') : text];
  });
}
