/** `adit search | docset … | watch … | status`, as a miner types them. */
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { ingestSample } from '../../cli/sample/ingest-sample.js';
import { makeKey, makeService, type Service } from '../acceptance/service.js';
import { startEmbeddedStage, type Stage } from '../acceptance/stage.js';
import { waitUntil } from '../servers/wait-until.js';
import { adit, MAIN, type MinerAt } from './adit.js';

describe('the commands of a miner', () => {
  let stage: Stage;
  let service: Service;
  let at: MinerAt;
  let admin: string;

  beforeAll(async () => {
    stage = await startEmbeddedStage();
    service = await makeService(stage);
    const { url } = await service.apiServer();
    await service.packager();
    admin = await makeKey(service, 'admin');
    await ingestSample({ url, key: admin });
    at = { url, key: await makeKey(service), cwd: service.file('work') };
    mkdirSync(at.cwd);
  });
  afterAll(async () => {
    await service.close();
    await stage.close();
  });

  const run = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await adit(at, ...args);
    expect({ args, code, stderr }).toEqual({ args, code: 0, stderr: '' });
    return stdout.trimEnd();
  };
  const rows = async (...args: string[]): Promise<string[][]> =>
    (await run(...args)).split('\n').map((line) => line.split('\t'));
  const whigs = '{"term": {"party": "Whig"}}';

  test('search tells how many documents a query finds, and shows the first', async () => {
    const [hits, , ...found] = await rows('search', 'sotu', 'railroad', '--limit', '2', '--sort', '-date');
    expect(hits).toEqual(['87 documents']);
    expect(found).toHaveLength(2);
    expect(found[0]).toEqual(['2021-joseph-r-biden', '2021', 'Joseph R Biden', expect.stringContaining('2021')]);
  });

  test('search shows how the hits are spread', async () => {
    const found = await rows('search', 'sotu', whigs, '--limit', '0', '--facets', 'creator, decades');
    expect(found).toEqual([
      ...[['4 documents'], [''], ['creator'], ['3', 'Millard Fillmore'], ['1', 'Zachary Taylor']],
      ...[[''], ['decades'], ['1', '1840'], ['3', '1850']],
    ]);
  });

  test('search answers programs in JSON, and finds everything without a query', async () => {
    const found = JSON.parse(await run('search', 'sotu', '--json')) as { hits: number; documents: unknown[] };
    expect([found.hits, found.documents.length]).toEqual([233, 10]);
  });

  test('search tells of how many values it shows the most frequent', async () => {
    const found = await rows('search', 'sotu', '--limit', '0', '--facets', 'creator');
    expect(found).toHaveLength(3 + 10 + 1);
    expect(found.at(-1)).toEqual([expect.stringMatching(/^and [1-9]\d* more values$/)]);
  });

  test('whoever reads no further hears no complaint', async () => {
    const env = { ...process.env, ADIT_URL: at.url, ADIT_KEY: at.key };
    const command = `set -o pipefail; ${process.execPath} ${MAIN} search sotu | true`;
    const { stderr } = await promisify(execFile)('bash', ['-c', command], { env });
    expect(stderr).toBe('');
  });

  test('search draws a table in a terminal', async () => {
    const env = { ...process.env, ADIT_URL: at.url, ADIT_KEY: at.key };
    const command = `stty cols 120; ${process.execPath} ${MAIN} search sotu railroad --limit 1`;
    const { stdout } = await promisify(execFile)('script', ['-qec', command, '/dev/null'], { env });
    expect(stdout).toMatch(/^ref +date +creator +title/m);
    expect(stdout).toMatch(/^1836-andrew-jackson +1836 +Andrew Jackson +State of the Union/m);
  });

  test('docset fixes results, combines them, and names their documents', async () => {
    const taylor = await run('docset', 'create', 'sotu', '{"term": {"creator": "Zachary Taylor"}}', '--name', 'Taylor');
    const all = await run('docset', 'create', 'sotu', whigs, '--name', 'Whigs');
    const others = await run('docset', 'minus', all, taylor, '--name', 'Fillmore');
    expect(await run('docset', 'members', others)).toBe(
      '1850-millard-fillmore\n1851-millard-fillmore\n1852-millard-fillmore',
    );
    const both = await run('docset', 'union', others, taylor);
    const none = await adit(at, 'docset', 'intersect', others, taylor);
    expect([none.code, none.stderr.trim().split('\n').length]).toEqual([1, 1]);
    const copy = await run('docset', 'copy', both);
    expect(await run('docset', 'members', copy)).toBe(await run('docset', 'members', all));
    expect(await rows('docset', 'list')).toEqual(
      expect.arrayContaining([[others, 'Fillmore', 'sotu', '3', expect.stringMatching(/^\d{4}-\d\d-\d\d$/)]]),
    );
    expect(await rows('docset', 'show', others)).toEqual(expect.arrayContaining([['documents', '3']]));
    await run('docset', 'delete', both, copy);
    expect((await adit(at, 'docset', 'show', copy)).stderr).toBe(`There is no docset ${copy}.\n`);
  });

  test.each([
    ['refs.txt', '1849-zachary-taylor\r\n1850-millard-fillmore\n'],
    ['refs.ndjson', '"1849-zachary-taylor"\n{"ref": "1850-millard-fillmore"}\n'],
    ['catalog.csv', 'title,ref\r\n"First, and last",1849-zachary-taylor\r\nSecond,1850-millard-fillmore\r\n'],
  ])('docset upload takes %s', async (name, text) => {
    writeFileSync(join(at.cwd, name), text);
    const id = await run('docset', 'upload', name, '--collection', 'sotu', '--name', name);
    expect(await run('docset', 'members', id)).toBe('1849-zachary-taylor\n1850-millard-fillmore');
  });

  test('docset upload names what is unknown, and goes on without it only where it is told to', async () => {
    writeFileSync(join(at.cwd, 'some.txt'), '1849-zachary-taylor\n1849-nobody\n');
    const refused = await adit(at, 'docset', 'upload', 'some.txt', '--collection', 'sotu');
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringMatching(/1849-nobody\. With --skip-unknown /)]);
    const made = await adit(at, 'docset', 'upload', 'some.txt', '--collection', 'sotu', '--skip-unknown');
    expect([made.code, made.stderr]).toEqual([2, 'unknown: 1849-nobody\n']);
    expect(await run('docset', 'members', made.stdout.trim())).toBe('1849-zachary-taylor');
    const missing = await adit(at, 'docset', 'upload', 'no.txt', '--collection', 'sotu');
    expect(missing.stderr).toBe('no.txt cannot be read: there is no such file.\n');
  });

  test('docset estimate tells what a dump would be, and asks for none', async () => {
    const id = await run('docset', 'create', 'sotu', whigs);
    const [all = '', pace, , ...formats] = (await run('docset', 'estimate', id)).split('\n');
    expect(all).toMatch(/^4 documents, [\d.]+ kB unpacked; about [\d.]+ kB as zip\.$/);
    expect(pace).toMatch(/ (not known|to make)/);
    expect(formats.map((line) => line.split('\t').slice(0, 3))).toEqual([
      ['meta', '4', '0'],
      ['txt', '4', '0'],
    ]);
    const args = ['--fmt', 'txt', '--archive', 'tar.gz', '--json'];
    const program: unknown = JSON.parse(await run('docset', 'estimate', id, ...args));
    expect(program).toMatchObject({ documents: 4, formats: ['txt'], container: 'tar.gz' });
    expect((await adit(at, 'status', id)).stderr).toMatch(/No dump of docset .* was asked for/);
    const since = await adit(at, 'docset', 'estimate', id, '--since', 'nothing');
    expect([since.code, since.stderr]).toEqual([1, 'There is no dump nothing.\n']);
  });

  test('watch tells what has appeared since, until that is seen', async () => {
    const id = await run('watch', 'create', 'sotu', 'zeppelin', '--name', 'Airships');
    expect(await run('watch', 'news', id)).toBe('');
    const metadata = { title: 'Airships', creator: 'Nobody', date: '1908', year: 1908, party: 'none' };
    const document = { ref: 'zeppelin', metadata, files: { txt: { text: 'A zeppelin came.' } } };
    writeFileSync(join(at.cwd, 'new.jsonl'), `${JSON.stringify(document)}\n`);
    expect(await adit({ ...at, key: admin }, 'ingest', 'sotu', 'new.jsonl', '--partial')).toMatchObject({ code: 0 });
    const news = [['added', 'zeppelin', 'Airships']];
    expect(await rows('watch', 'news', id)).toEqual(news);
    expect(await rows('watch', 'show', id)).toEqual(
      expect.arrayContaining([
        ['name', 'Airships'],
        ['collection', 'sotu'],
        ['added', '1'],
      ]),
    );
    const [watch] = await rows('watch', 'list', 'sotu');
    expect(watch?.slice(0, 3)).toEqual([id, 'Airships', 'zeppelin']);
    expect(JSON.parse(await run('watch', 'news', id, '--json'))).toMatchObject({ change: 'added', ref: 'zeppelin' });
    expect(await rows('watch', 'news', id, '--seen')).toEqual(news);
    expect(await run('watch', 'news', id)).toBe('');
    expect(JSON.parse(await run('watch', 'show', id, '--json'))).toMatchObject({ id, added: 0 });
    expect(await run('watch', 'delete', id)).toBe(`Watch ${id} is deleted.`);
    expect((await adit(at, 'watch', 'show', id)).stderr).toBe(`There is no watch ${id}.\n`);
  });

  test('status lists the dumps, and tells of the newest one of a docset', async () => {
    expect(await run('status')).toMatch(/^No dumps yet/);
    const id = await run('docset', 'create', 'sotu', whigs);
    await run('dump', id, '--fmt', 'txt');
    const [dump = []] = await rows('status', id);
    expect(dump.slice(1, 5)).toEqual([id, 'txt', 'successful', 'All 4 documents are in the archive.']);
    expect(await rows('status')).toEqual([dump]);
    expect(JSON.parse(await run('status', id, '--json'))).toMatchObject({ id: dump[0], done: true });
  });

  test('status of all dumps learns that one is done, though nobody else polls it', async () => {
    const id = await run('docset', 'create', 'sotu', whigs);
    const headers = { Authorization: `Bearer ${at.key}` };
    const asked = await fetch(`${at.url}/api/docsets/${id}/dump?fmt=txt`, { method: 'POST', headers });
    expect(asked.status).toBe(202);
    await waitUntil('the dump is done', async () => {
      const found = (await rows('status')).find(([, docset]) => docset === id);
      return found?.[3] === 'successful';
    });
  });

  test.each([
    ['without a key', { key: '' }, ['status'], /^A key is needed in ADIT_KEY/],
    ['with an address that is none', { url: 'adit.example.org' }, ['status'], /is not the address of a server/],
    ['with a query that is half a tree', {}, ['search', 'sotu', '{"term":'], /is not JSON/],
    ['with a clause that is unknown', {}, ['search', 'sotu', '{"fuzzy": {"text": "x"}}'], /fuzzy/],
    ['for a collection that is not there', {}, ['search', 'nothing'], /nothing/],
  ])('fail %s with what is wrong', async (_how, change, args, sentence) => {
    const { code, stdout, stderr } = await adit({ ...at, ...change }, ...args);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(sentence);
  });
});
