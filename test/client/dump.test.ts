/** `adit dump` on a real service, through a line on which everything goes wrong. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ingest,
  makeKey,
  makeMiner,
  makeService,
  someDocuments,
  type Miner,
  type Service,
} from '../acceptance/service.js';
import { startSourceLine } from '../acceptance/source-line.js';
import { startEmbeddedStage, type Stage } from '../acceptance/stage.js';
import type { AditProcess } from '../acceptance/adit-process.js';
import { startTcpProxy, type TcpProxy } from '../servers/tcp-proxy.js';
import { waitUntil } from '../servers/wait-until.js';
import { adit, start, type Ended, type MinerAt } from './adit.js';

const DOCUMENTS = 80;
const DOCUMENT_BYTES = 50_000;
/** Of the archive, in bytes, before a download is stopped. */
const SOME = 600_000;

interface Result {
  file: string;
  docset: string;
  dump: string;
  size: number;
  sha256: string;
  downloaded: boolean;
  counts: { requested: number; packed: number };
  verified: { checksums: number };
}

let stage: Stage;
beforeAll(async () => {
  stage = await startEmbeddedStage();
});
afterAll(() => stage.close());

describe('adit dump, from a server behind a bad line', () => {
  let service: Service;
  let api: AditProcess & { url: string };
  let proxy: TcpProxy;
  let miner: Miner;
  let at: MinerAt;
  /** A docset whose dump is ready, with the URL of the status. */
  let docset: string;
  let dumpPath: string;

  beforeAll(async () => {
    service = await makeService(stage);
    api = await service.apiServer();
    await service.packager();
    await ingest(api.url, await makeKey(service, 'admin'), 'texts', someDocuments(DOCUMENTS, DOCUMENT_BYTES));
    const key = await makeKey(service);
    miner = makeMiner(api.url, key);
    proxy = await startTcpProxy(Number(new URL(api.url).port));
    at = { url: `http://127.0.0.1:${proxy.port}`, key, cwd: service.file('work') };
    mkdirSync(at.cwd);
    const path = await miner.docset('texts');
    docset = String(path.split('/').at(-1));
    dumpPath = `${path}/dump`;
    await miner.post(`${dumpPath}?fmt=txt`);
    await miner.pollToEnd(dumpPath);
  });
  afterAll(async () => {
    await proxy.close();
    await service.close();
  });
  afterEach(() => {
    proxy.resume();
    // What a test left there by mistake is found by the next one.
    expect(readdirSync(at.cwd).filter((name) => /\.(part|json|new)$/.test(name))).toEqual([]);
  });

  const file = (name: string): string => join(at.cwd, name);
  const dumpTo = (name: string, ...more: string[]): string[] => [
    'dump',
    docset,
    '--fmt',
    'txt',
    '-o',
    name,
    '--json',
    ...more,
  ];
  const resultOf = ({ code, stdout, stderr }: Ended): Result => {
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.trim().split('\n')).toHaveLength(1);
    return JSON.parse(stdout) as Result;
  };
  const sha256Of = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
  const bytesOf = (path: string): number => (existsSync(path) ? statSync(path).size : 0);

  /** A run whose download has stopped in the middle: the line is silent from there on. */
  async function stopped(name: string, ...more: string[]) {
    proxy.stallAt(proxy.bytes() + SOME);
    const running = start(at, dumpTo(name, ...more));
    let before = -1;
    await waitUntil(
      'a part of the archive is there, and no more comes',
      () => {
        const now = bytesOf(file(`${name}.part`));
        const isStill = now > 0 && now === before;
        before = now;
        return isStill;
      },
      { pauseMs: 200 },
    );
    return running;
  }

  async function expectWhole(ended: Ended, name: string): Promise<Result> {
    const result = resultOf(ended);
    const { body } = await miner.get(`${dumpPath}?fmt=txt`);
    expect(result).toMatchObject({ size: body.archive?.size, sha256: body.archive?.sha256 });
    expect(sha256Of(file(name))).toBe(result.sha256);
    expect(readdirSync(at.cwd).filter((entry) => entry.startsWith(name))).toEqual([name]);
    return result;
  }

  async function expectFailure(ended: Promise<Ended>, type: string, sentence: RegExp | string): Promise<void> {
    const { code, stdout, stderr } = await ended;
    expect({ code, lines: stderr.trim().split('\n').length }).toEqual({ code: 1, lines: 1 });
    expect(stderr.trim()).toMatch(sentence);
    expect(JSON.parse(stdout)).toMatchObject({ error: { type, detail: stderr.trim() } });
  }

  test('has an archive in which every checksum is right, and says nothing but the result', async () => {
    const result = await expectWhole(await adit(at, ...dumpTo('plain.zip')), 'plain.zip');
    expect(result).toMatchObject({ docset, downloaded: true, counts: { requested: DOCUMENTS, packed: DOCUMENTS } });
    expect(result.verified.checksums).toBeGreaterThan(DOCUMENTS);
    expect(resultOf(await adit(at, ...dumpTo('plain.zip')))).toMatchObject({
      downloaded: false,
      sha256: result.sha256,
    });
  });

  test('tells programs how it comes on, an event a line', async () => {
    const ended = await adit(at, ...dumpTo('told.zip', '--progress', 'json'));
    await expectWhole({ ...ended, stderr: '' }, 'told.zip');
    const events = ended.stderr.trimEnd().split('\n');
    const told = events.map((line) => JSON.parse(line) as { event: string; status?: string; bytes?: number });
    expect(told.filter(({ event }) => event === 'status').at(-1)).toMatchObject({
      status: 'successful',
      progress: 100,
    });
    const { size } = resultOf({ ...ended, stderr: '' });
    expect(told.filter(({ event }) => event === 'download').at(-1)).toMatchObject({ bytes: size, size });
    expect(told.at(-1)).toEqual({ event: 'verify' });
  });

  test('has a gzipped tar from a query in one go', async () => {
    const wish = ['--collection', 'texts', '--query', '{"range":{"year":{"lt":5}}}', '--archive', 'tar.gz'];
    const result = resultOf(await adit(at, 'dump', ...wish, '--fmt', 'txt', '-o', 'few.tar.gz', '--json'));
    expect(result).toMatchObject({ counts: { requested: 5 }, verified: { payload: { txt: 5 } } });
    await promisify(execFile)('tar', ['-xzf', 'few.tar.gz'], { cwd: at.cwd });
  });

  test('does not touch a file that is another archive, unless it is told to', async () => {
    writeFileSync(file('mine.zip'), 'years of work');
    await expectFailure(adit(at, ...dumpTo('mine.zip')), 'dump-file', /^mine\.zip is there already/);
    expect(readFileSync(file('mine.zip'), 'utf8')).toBe('years of work');
    await expectWhole(await adit(at, ...dumpTo('mine.zip', '--overwrite')), 'mine.zip');
  });

  test('goes on by itself where the line breaks, and asks for the rest only', async () => {
    const before = proxy.bytes();
    const running = await stopped('broken.zip');
    proxy.cut();
    proxy.resume();
    const { size } = await expectWhole(await running.ended, 'broken.zip');
    expect(proxy.bytes() - before).toBeLessThan(size * 1.5);
  });

  test('goes on where it was when it is interrupted and called again', async () => {
    const running = await stopped('interrupted.zip');
    running.interrupt();
    const { code, stdout } = await running.ended;
    expect([code, JSON.parse(stdout)]).toMatchObject([130, { error: { type: 'interrupted' } }]);
    expect(existsSync(file('interrupted.zip'))).toBe(false);
    const have = bytesOf(file('interrupted.zip.part'));
    proxy.cut();
    proxy.resume();
    const before = proxy.bytes();
    const { size } = await expectWhole(await adit(at, ...dumpTo('interrupted.zip')), 'interrupted.zip');
    expect(proxy.bytes() - before).toBeLessThan(size - have + 50_000);
  });

  test('says so where the server is killed in the middle of the download, and goes on when it is back', async () => {
    const running = await stopped('killed.zip', '--retry-for', '2s');
    await api.kill();
    proxy.cut();
    proxy.resume();
    await expectFailure(running.ended, 'unreachable', /^http:\/\/127\.0\.0\.1:\d+ cannot be reached \(.+\)\.$/);
    const have = bytesOf(file('killed.zip.part'));
    expect(have).toBeGreaterThan(0);
    api = await service.apiServer({ PORT: new URL(api.url).port });
    const before = proxy.bytes();
    const { size } = await expectWhole(await adit(at, ...dumpTo('killed.zip')), 'killed.zip');
    expect(proxy.bytes() - before).toBeLessThan(size - have + 50_000);
  });

  test('starts afresh where what it has is the beginning of another archive', async () => {
    const running = await stopped('other.zip');
    running.interrupt();
    await running.ended;
    proxy.cut();
    proxy.resume();
    const state = JSON.parse(readFileSync(file('other.zip.adit.json'), 'utf8')) as { part: { etag: string } };
    state.part.etag = `"${'0'.repeat(64)}"`;
    writeFileSync(file('other.zip.adit.json'), JSON.stringify(state));
    writeFileSync(file('other.zip.part'), Buffer.alloc(bytesOf(file('other.zip.part'))));
    await expectWhole(await adit(at, ...dumpTo('other.zip')), 'other.zip');
  });

  test('is not fooled by bytes that rotted in the part that it has', async () => {
    const running = await stopped('rotten.zip');
    running.interrupt();
    await running.ended;
    proxy.cut();
    proxy.resume();
    const part = readFileSync(file('rotten.zip.part'));
    part[1_000] = (part[1_000] ?? 0) ^ 1;
    writeFileSync(file('rotten.zip.part'), part);
    await expectFailure(
      adit(at, ...dumpTo('rotten.zip')),
      'dump-damaged',
      /^The archive is damaged, and was not kept: /,
    );
    expect(existsSync(file('rotten.zip'))).toBe(false);
    await expectWhole(await adit(at, ...dumpTo('rotten.zip')), 'rotten.zip');
  });

  test('says so where the archive is deleted in the middle of the download', async () => {
    const path = (await miner.docset('texts')) + '/dump';
    const id = String(path.split('/').at(-2));
    proxy.stallAt(proxy.bytes() + SOME);
    const running = start(at, ['dump', id, '--fmt', 'txt', '-o', 'expired.zip', '--json']);
    await waitUntil('a part of the archive is there', () => bytesOf(file('expired.zip.part')) > 0);
    await miner.delete(path);
    proxy.cut();
    proxy.resume();
    await expectFailure(running.ended, '/problems/archive-expired', /^Archives are kept for a limited time\./);
    // The dump is made anew, and what came of the old one is of use, as the bytes are the same.
    resultOf(await adit(at, 'dump', id, '--fmt', 'txt', '-o', 'expired.zip', '--json'));
  });

  test('says so where the archive rotted in the store, and keeps nothing of it', async () => {
    const path = (await miner.docset('texts', { range: { year: { lt: 9 } } })) + '/dump';
    await miner.post(`${path}?fmt=txt`);
    const { id } = await miner.pollToEnd(path);
    const [key = ''] = (await service.stores.keys(`dumps/${id}/`)).filter((name) => name.endsWith('.zip'));
    const stored = join(service.stores.env['DATA_DIR'] ?? '', 'archives', key);
    const bytes = readFileSync(stored);
    bytes[5_000] = (bytes[5_000] ?? 0) ^ 1;
    writeFileSync(stored, bytes);
    const dump = adit(at, 'dump', String(path.split('/').at(-2)), '--fmt', 'txt', '-o', 'rot.zip', '--json');
    await expectFailure(dump, 'dump-damaged', /it has SHA-256 [0-9a-f]{64} instead of [0-9a-f]{64}\.$/);
    expect(existsSync(file('rot.zip'))).toBe(false);
  });

  test.each([
    ['a wrong key', { key: 'adit_wrong' }, [], '/problems/key-invalid', /^The key is unknown or was revoked\./],
    ['a docset that is not there', {}, ['999'], '/problems/docset-not-found', /^There is no docset 999\.$/],
    ['a format that is not there', {}, ['--fmt', 'docx'], '/problems/format-unknown', /"docx"/],
    [
      'a folder that is not there',
      {},
      ['-o', 'no/such.zip'],
      'dump-file',
      /^no\/such\.zip cannot be written: there is no/,
    ],
    ['a folder for a file', {}, ['-o', '/tmp'], 'dump-file', /^\/tmp is not a file/],
    [
      'an address where nobody is',
      { url: 'http://127.0.0.1:65534' },
      [],
      'unreachable',
      /^http:\/\/127\.0\.0\.1:65534 cannot be reached \(ECONNREFUSED\)\.$/,
    ],
  ])('fails at once with one sentence for %s', async (_what, change, args, type, sentence) => {
    const id = args[0]?.startsWith('9') === true ? [] : [docset];
    await expectFailure(adit({ ...at, ...change }, 'dump', ...id, '--json', ...args), type, sentence);
  });

  test('says so where there is no room for the archive, or a folder can only be read', async () => {
    const mount = file('mounted');
    mkdirSync(mount);
    const within = (options: string): readonly string[] => [
      ...['unshare', '--mount', '--map-root-user', 'sh', '-c'],
      `mount -t tmpfs -o ${options} tmpfs ${mount} && exec "$@"`,
      'sh',
    ];
    const full = start(at, dumpTo('mounted/a.zip'), within('size=1m')).ended;
    await expectFailure(full, 'dump-file', /^There is no room for mounted\/a\.zip\.part: .+ still to come, .+ free\.$/);
    const readOnly = start(at, dumpTo('mounted/a.zip'), within('ro')).ended;
    await expectFailure(readOnly, 'dump-file', /^mounted\/a\.zip cannot be written: it can only be read there\.$/);
  });

  test('says so where the disk takes no more in the middle of it', async () => {
    const limited = start(at, dumpTo('limited.zip'), ['prlimit', '--fsize=500000']).ended;
    await expectFailure(
      limited,
      'dump-file',
      /^limited\.zip\.part cannot be written: files may not become so large there\.$/,
    );
    await expectWhole(await adit(at, ...dumpTo('limited.zip')), 'limited.zip');
  });
});

describe('adit dump, while the dump is being made', () => {
  let service: Service;
  let api: AditProcess & { url: string };
  let miner: Miner;
  let at: MinerAt;

  beforeAll(async () => {
    service = await makeService(stage);
    api = await service.apiServer(LOUD);
    await ingest(api.url, await makeKey(service, 'admin'), 'texts', someDocuments(20));
    const key = await makeKey(service);
    miner = makeMiner(api.url, key);
    at = { url: api.url, key, cwd: service.file('work') };
    mkdirSync(at.cwd);
  });
  afterAll(() => service.close());

  const dumps = async () => (await miner.get<{ dumps: { id: string; docset: string }[] }>('/api/dumps')).body.dumps;
  const asked = (count: number) => waitUntil('the dump was asked for', async () => (await dumps()).length === count);

  test('comes back to the same docset and dump after Ctrl-C, a server that stays away, and one that comes back', async () => {
    const wish = ['dump', '--collection', 'texts', '--query', 'Document', '--fmt', 'txt', '-o', 'all.zip', '--json'];
    const first = start(at, wish);
    await asked(1);
    first.interrupt();
    expect(await first.ended).toMatchObject({
      code: 130,
      stderr: expect.stringMatching(/^Interrupted\. The dump goes on/),
    });

    const second = start(at, [...wish, '--retry-for', '3s']);
    await waitUntil('it polls', () => pollsIn(api) > 1);
    await api.kill();
    const away = await second.ended;
    expect(away).toMatchObject({ code: 1, stderr: expect.stringMatching(/cannot be reached \(ECONN\w+\)\.\n$/) });

    const { port } = new URL(api.url);
    api = await service.apiServer({ ...LOUD, PORT: port });
    const third = start(at, wish);
    await waitUntil('it polls', () => pollsIn(api) > 0);
    await api.kill();
    api = await service.apiServer({ ...LOUD, PORT: port });
    await service.packager();
    const ended = await third.ended;
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    const [dump, ...others] = await dumps();
    expect(others).toEqual([]);
    expect(JSON.parse(ended.stdout)).toMatchObject({ dump: dump?.id, counts: { requested: 20, packed: 20 } });
    expect(readdirSync(at.cwd)).toEqual(['all.zip']);
  });

  test('has only what is new since an earlier dump', async () => {
    const [earlier] = await dumps();
    await ingest(api.url, await makeKey(service, 'admin'), 'texts', someDocuments(23).slice(20));
    const wish = ['--collection', 'texts', '--query', 'Document', '--fmt', 'txt', '-o', 'new.zip', '--json'];
    const { code, stdout } = await adit(at, 'dump', ...wish, '--since', earlier?.id ?? '');
    const counts = { requested: 3, packed: 3, added: 3, changed: 0, withdrawn: 0 };
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { since: earlier?.id, counts, verified: { payload: { txt: 3 } } },
    ]);
  });
});

describe('adit dump, where there will be no archive', () => {
  let service: Service;
  let api: AditProcess & { url: string };
  let miner: Miner;
  let at: MinerAt;
  let docset: string;

  beforeAll(async () => {
    service = await makeService(stage);
    api = await service.apiServer({ ...LOUD, POLL_INTERVAL: '1s' });
    const { url } = api;
    await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(20));
    const key = await makeKey(service);
    miner = makeMiner(url, key);
    at = { url, key, cwd: service.file('work') };
    mkdirSync(at.cwd);
    docset = await miner.docset('texts');
  });
  afterAll(() => service.close());

  const dumpsOf = async () => (await miner.get<{ dumps: unknown[] }>('/api/dumps')).body.dumps;
  const dump = () => start(at, ['dump', String(docset.split('/').at(-1)), '--fmt', 'txt', '-o', 'none.zip']);

  test('waits where the server has enough of being asked, and then goes on', async () => {
    const running = dump();
    await waitUntil('the dump was asked for', async () => (await dumpsOf()).length === 1);
    const id = String(docset.split('/').at(-1));
    const asked = await Promise.all([1, 2, 3].map(() => adit(at, 'status', id, '--json')));
    expect(asked.map(({ code, stderr }) => ({ code, stderr }))).toEqual(asked.map(() => ({ code: 0, stderr: '' })));
    expect(api.log()).toMatch(/"statusCode":429/);
    await miner.delete(`${docset}/dump`);
    expect((await running.ended).code).toBe(1);
  });

  test('says that it was cancelled', async () => {
    const running = dump();
    await waitUntil('the dump was asked for', async () => (await dumpsOf()).length === 2);
    await miner.delete(`${docset}/dump`);
    expect(await running.ended).toEqual({ code: 1, stdout: '', stderr: 'The dump was cancelled.\n' });
  });

  test('says why it failed', async () => {
    const line = await startSourceLine(Number(new URL(at.url).port));
    line.stallAt(0);
    await service.packager({ API_URL: `http://127.0.0.1:${line.port}`, STALL_TIMEOUT: '1s' });
    const { code, stderr } = await dump().ended;
    await line.close();
    expect(code).toBe(1);
    expect(stderr).toMatch(/^There is no archive: .+\.\n$/);
    expect(readdirSync(at.cwd)).toEqual([]);
  });
});

/** At this level polls are in the log. */
const LOUD = { LOG_LEVEL: 'debug' };

const pollsIn = (api: AditProcess): number => api.log().split(/"method":"GET","url":"[^"]*\/dump\?/).length - 1;
