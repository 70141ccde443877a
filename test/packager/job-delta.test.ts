/** Jobs whose listing is relative to an earlier docset. */
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { findProgram } from '../servers/server-process.js';
import { startDocsetServer, type DocsetServer, type TestDocument } from './docset-server.js';
import { openStage, type Stage } from './packager-stage.js';
import { readBag, textOf } from './read-bag.js';

const run = promisify(execFile);
const ADDED: TestDocument[] = [{ ref: 'new', title: 'New', files: { txt: { content: 'news' } } }];

let server: DocsetServer | undefined;
let stage: Stage | undefined;
afterEach(async () => {
  await stage?.close();
  await server?.close();
});

async function packed(
  documents: TestDocument[],
  withdrawn: number,
  { docset = {}, query = '' }: { docset?: object; query?: string } = {},
): Promise<{ events: Awaited<ReturnType<Stage['eventsUntil']>>; archive: Buffer }> {
  server = await startDocsetServer(documents, { withdrawn, docset: { ...docset } });
  stage = await openStage(server.url);
  await stage.start();
  await stage.request(`${server.docsetUrl('txt')}${query}&since=earlier`, 'd1');
  const events = await stage.eventsUntil('Complete');
  return { events, archive: await stage.readArchive(events.at(-1)) };
}

test('what was withdrawn is listed beside what was added', async () => {
  const { events, archive } = await packed(ADDED, 2);
  expect(events.at(-1)).toMatchObject({ documents: 1, omitted: 0 });
  const bag = await readBag(archive);
  expect(bag.files.has('data/new.txt')).toBe(true);
  expect(textOf(bag, 'withdrawn.csv')).toBe(
    'ref,title,creator,date,url\ngone-000000,"Title, 0",,,\ngone-000001,"Title, 1",,,\n',
  );
  expect(textOf(bag, 'tagmanifest-sha256.txt')).toMatch(/ {2}withdrawn\.csv$/m);
  expect(textOf(bag, 'bag-info.txt')).toMatch(/^Since-Dump: earlier\nSince-Docset: 4\nDocuments-Withdrawn: 2$/m);
});

test('where nothing was added or changed, the bag has an empty payload folder that every reader makes', async () => {
  const { events, archive } = await packed([], 0);
  expect(events.at(-1)).toMatchObject({ type: 'Complete', documents: 0, omitted: 0 });
  const bag = await readBag(archive);
  expect(textOf(bag, 'withdrawn.csv')).toBe('ref,title,creator,date,url\n');
  expect(textOf(bag, 'bag-info.txt')).toContain('Payload-Oxum: 0.0\n');
  expect(textOf(bag, 'bag-info.txt')).toContain('Documents-Requested: 0\n');
  const unzip = findProgram('unzip');
  if (unzip === undefined) {
    process.stdout.write('unzip is not installed: not tried\n');
    return;
  }
  const folder = join(stage?.folder ?? '', 'unzipped');
  await mkdir(folder);
  await writeFile(join(folder, 'bag.zip'), archive);
  await run(unzip, ['-q', 'bag.zip'], { cwd: folder });
  const { mode } = await stat(join(folder, 'docset-5', 'data'));
  expect([(mode & 0o170000) === 0o040000, (mode & 0o700) === 0o700]).toEqual([true, true]);
});

test('a gzipped tar has the empty payload folder too', async () => {
  const { archive } = await packed([], 1, { query: '&archive=tar.gz' });
  const folder = join(stage?.folder ?? '', 'untarred');
  await mkdir(folder);
  await writeFile(join(folder, 'bag.tar.gz'), archive);
  await run('tar', ['xzf', 'bag.tar.gz'], { cwd: folder });
  expect(await readdir(join(folder, 'docset-5'))).toContain('withdrawn.csv');
  expect(await readdir(join(folder, 'docset-5', 'data'))).toEqual([]);
});

test('the same listing gives the same bytes, also where it is too long to be kept', async () => {
  const first = await packed(ADDED, 60_000);
  await stage?.request(`${server?.docsetUrl('txt') ?? ''}&since=earlier`, 'd2');
  const events = (await stage?.eventsUntil('Complete')) ?? [];
  const second = await stage?.readArchive(events.at(-1));
  expect(second?.equals(first.archive)).toBe(true);
  const lines = textOf(await readBag(first.archive), 'withdrawn.csv')
    .trimEnd()
    .split('\n');
  expect([lines.length, lines.at(-1)]).toEqual([60_001, 'gone-059999,"Title, 59999",,,']);
});

test('a listing that does not tell all that was withdrawn is never packed', async () => {
  server = await startDocsetServer(ADDED, {
    withdrawn: 2,
    docset: { since: { dump: 'earlier', docset: '4', withdrawn: 3 } },
  });
  stage = await openStage(server.url);
  await stage.start();
  await stage.request(`${server.docsetUrl('txt')}&since=earlier`, 'd1');
  const events = await stage.eventsUntil('Failed', 60_000);
  expect(events.at(-1)).toMatchObject({
    code: 'listing-incomplete',
    detail: expect.stringMatching(/2 of 3 withdrawn/),
  });
});
