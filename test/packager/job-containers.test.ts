/** Whole jobs whose archive is of another kind than a zip. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { describeReaders } from '../readers/describe-readers.js';
import { run } from '../readers/readers.js';
import { startDocsetServer, type DocsetServer } from './docset-server.js';
import { openStage, type Stage } from './packager-stage.js';

let server: DocsetServer;
let stage: Stage;

beforeEach(async () => {
  const documents = Array.from({ length: 30 }, (_, index) => ({
    ref: `論文 ${index}`,
    files: { txt: { content: `text ${index} `.repeat(index * 100) } },
  }));
  server = await startDocsetServer(documents);
  stage = await openStage(server.url);
  await stage.start();
});
afterEach(async () => {
  await stage.close();
  await server.close();
});

describeReaders(['bsdtar', 'unzip', 'bagit'], 'a request for archive=tar.gz', () => {
  test('becomes a valid bag in a gzipped tar, with the files that the zip has', async () => {
    const folders: Record<string, string> = {};
    for (const [kind, suffix] of Object.entries({ zip: '', 'tar.gz': '&archive=tar.gz' })) {
      await stage.request(`${server.docsetUrl('txt')}${suffix}`, kind === 'zip' ? 'd1' : 'd2');
      const complete = (await stage.eventsUntil('Complete')).at(-1);
      if (complete?.type !== 'Complete') throw new Error('not complete');
      expect(complete).toMatchObject({ documents: 30, omitted: 0 });
      expect(complete.url.endsWith(`.${kind}`)).toBe(true);
      const unpacked = await mkdtemp(join(stage.folder, `${kind}-`));
      const file = join(stage.folder, `archive.${kind}`);
      await writeFile(file, await stage.readArchive(complete));
      if (kind === 'zip') await run('unzip', ['-q', file, '-d', unpacked]);
      else await run('bsdtar', ['-xf', file, '-C', unpacked]);
      folders[kind] = join(unpacked, 'docset-5');
    }
    const [zip = '', tar = ''] = [folders['zip'], folders['tar.gz']];
    await run('bagit', ['--validate', '--quiet', tar]);
    const manifests = [zip, tar].map((folder) => readFile(join(folder, 'tagmanifest-sha256.txt'), 'utf8'));
    const [ofZip, ofTar] = await Promise.all(manifests);
    expect(ofTar).toBe(ofZip);
  });
});

test('a request for a kind that nobody makes fails, and says so', async () => {
  await stage.request(`${server.docsetUrl('txt')}&archive=rar`, 'd1');
  const events = await stage.eventsUntil('Failed');
  expect(events.at(-1)).toMatchObject({ type: 'Failed', detail: 'The packager makes no archives of the kind "rar".' });
});
