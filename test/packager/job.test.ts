/** Whole jobs over the embedded broker, a real HTTP server and a folder. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startDocsetServer, type DocsetServer, type TestDocument } from './docset-server.js';
import { openStage, type Stage } from './packager-stage.js';
import { execFile } from 'node:child_process';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { LARGE_PACKAGE_REQUESTS } from '../../queue-config/index.js';
import { findProgram } from '../servers/server-process.js';
import { waitUntil } from '../servers/wait-until.js';
import { readBag, textOf } from './read-bag.js';

const DOCUMENTS: TestDocument[] = [
  {
    ref: '1790-george-washington',
    title: 'First, "annual" address',
    creator: 'George Washington',
    date: '1790',
    files: {
      meta: { content: '{"year":1790}', mediaType: 'application/ld+json' },
      txt: { content: 'Fellow citizens\n'.repeat(500) },
      pdf: { content: Buffer.alloc(3000, 'x'), mediaType: 'application/pdf' },
    },
  },
  { ref: 'müller/2', title: 'Ünïcode', files: { meta: { content: '{}' }, txt: { content: 'zwei' } } },
  { ref: 'no-text', files: { meta: { content: '{}' } } },
];

let server: DocsetServer;
let stage: Stage;

beforeEach(async () => {
  server = await startDocsetServer(DOCUMENTS, {
    docset: { query: { match: { text: 'peace\nwar' } }, source: 'Congress', licence: 'CC0-1.0', name: 'Addresses' },
  });
  stage = await openStage(server.url);
});
afterEach(async () => {
  await stage.close();
  await server.close();
});

describe('a package request', () => {
  test('becomes a valid bag, and events that say so in their order', async () => {
    await stage.start();
    await stage.request(server.docsetUrl('meta,txt,pdf'), 'd1');
    const events = await stage.eventsUntil('Complete');
    const last = events.at(-1);
    // A machine that is slow hears of progress too.
    expect(events.map(({ type }) => type).filter((type) => type !== 'Progress')).toEqual(['Accepted', 'Complete']);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    expect(last).toMatchObject({ dump: 'd1', attempt: 1, documents: 1, omitted: 2 });
    expect(last?.timeline?.map(({ phase }) => phase)).toEqual(['listing', 'packaging', 'uploading', 'verifying']);

    const bag = await readBag(await stage.readArchive(last));
    expect(bag.top).toBe('docset-5/');
    expect([...bag.files.keys()].filter((path) => path.startsWith('data/')).sort()).toEqual([
      'data/1790-george-washington.json',
      'data/1790-george-washington.pdf',
      'data/1790-george-washington.txt',
      expect.stringMatching(/^data\/müller_2~[0-9a-f]{8}\.json$/),
      expect.stringMatching(/^data\/müller_2~[0-9a-f]{8}\.txt$/),
      'data/no-text.json',
    ]);
    expect(textOf(bag, 'omitted.csv')).toBe(
      'ref,format,reason\nmüller/2,pdf,missing\nno-text,txt,missing\nno-text,pdf,missing\n',
    );
    expect(textOf(bag, 'catalog.csv').split('\n')[1]).toBe(
      `1790-george-washington,"First, ""annual"" address",George Washington,1790,${server.url}/api/documents/1790-george-washington,` +
        'data/1790-george-washington.json,data/1790-george-washington.txt,data/1790-george-washington.pdf',
    );
    expect(textOf(bag, 'bag-info.txt')).toContain('Query: {"match":{"text":"peace\\nwar"}}\n');
    expect(textOf(bag, 'bag-info.txt')).toContain('Files-Requested: 9\nFiles-Packed: 6\nFiles-Omitted: 3\n');
    const [first] = server.headers;
    expect(first).toMatchObject({ 'x-api-key': server.key, 'adit-dump': 'd1', 'adit-attempt': '1' });
  });

  test('gives the same bytes each time, whatever the time and the machine that serves it', async () => {
    await stage.start();
    const archives: Buffer[] = [];
    for (const dump of ['d1', 'd2']) {
      await stage.request(server.docsetUrl('txt,meta'), dump);
      archives.push(await stage.readArchive((await stage.eventsUntil('Complete')).at(-1)));
    }
    expect(archives[0]?.equals(archives[1] ?? Buffer.alloc(0))).toBe(true);
  });

  test('is a zip that other programs find whole', async () => {
    await stage.start();
    await stage.request(server.docsetUrl('meta,txt,pdf'), 'd1');
    const file = join(stage.folder, 'archive.zip');
    await writeFile(file, await stage.readArchive((await stage.eventsUntil('Complete')).at(-1)));
    const programs: [string, string[]][] = [
      ['unzip', ['-tq', file]],
      ['7z', ['t', file]],
      ['python3', ['-m', 'zipfile', '-t', file]],
    ];
    for (const [program, args] of programs) {
      const path = findProgram(program);
      if (path !== undefined) await promisify(execFile)(path, args);
    }
  });

  test('starts at once although a large one is under way', async () => {
    const isLarge = (request: IncomingMessage): boolean => request.headers['adit-dump'] === 'large';
    let isHeld = false;
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    server.setFault(async (request) => {
      if (!isLarge(request)) return false;
      isHeld = true;
      await released;
      return false;
    });
    const packager = await stage.start();
    await stage.request(server.docsetUrl('txt'), 'large', 1, LARGE_PACKAGE_REQUESTS);
    await waitUntil('the large one is under way', () => Promise.resolve(isHeld));
    await stage.request(server.docsetUrl('txt'), 'small');
    const events = await stage.eventsUntil('Complete');
    expect(events.filter(({ type }) => type === 'Complete').map(({ dump }) => dump)).toEqual(['small']);
    release();
    expect((await stage.eventsUntil('Complete')).at(-1)?.dump).toBe('large');
    await packager.stop();
  });

  test('is preceded by a clearing of what died long ago', async () => {
    const old = join(stage.archives, 'dumps', 'd0', '1', '.7.zip.0123456789abcdef');
    const recent = join(stage.archives, 'dumps', 'd1', '1', '.8.zip.0123456789abcdef');
    for (const path of [old, recent]) {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, 'half an archive');
    }
    const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000);
    await utimes(old, yesterday, yesterday);
    await stage.start();
    await waitUntil('the old one is gone', () => Promise.resolve(!existsSync(old)));
    expect(existsSync(recent)).toBe(true);
  });

  test('of either kind may be left to other packagers', async () => {
    await stage.start({ PACKAGER_CONCURRENCY: '0' });
    await stage.request(server.docsetUrl('txt'), 'small');
    await stage.request(server.docsetUrl('txt'), 'large', 1, LARGE_PACKAGE_REQUESTS);
    expect((await stage.eventsUntil('Complete')).at(-1)?.dump).toBe('large');
    expect(stage.requests()).toBe(1);
    await stage.start({ PACKAGER_LARGE_CONCURRENCY: '0' });
    expect((await stage.eventsUntil('Complete')).at(-1)?.dump).toBe('small');
  });

  test('fetches sixteen documents at once, and no more', async () => {
    await server.close();
    const documents = Array.from({ length: 100 }, (_, index) => ({
      ref: `doc-${String(index).padStart(3, '0')}`,
      files: { txt: { content: `${index}` } },
    }));
    let open = 0;
    let most = 0;
    let asked = 0;
    server = await startDocsetServer(documents, { port: Number(new URL(server.url).port) });
    server.setFault(async (_request, response, { pathname }) => {
      if (pathname.startsWith('/api/docsets')) return false;
      open += 1;
      most = Math.max(most, open);
      response.once('close', () => (open -= 1));
      // Nothing is answered until as many are waiting as will ever be: all sixteen, or the last ones.
      asked += 1;
      await waitUntil('sixteen wait, or all have asked', () => open === 16 || asked === 100 || most === 16);
      return false;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ documents: 100 });
    expect(most).toBe(16);
  });

  test('reports its progress, never twice in half a second and with what is left', async () => {
    await server.close();
    const documents = Array.from({ length: 200 }, (_, index) => ({
      ref: `doc-${String(index).padStart(3, '0')}`,
      files: { txt: { content: 'x'.repeat(100) } },
    }));
    server = await startDocsetServer(documents, { port: Number(new URL(server.url).port) });
    server.setFault(async (_request, _response, { pathname }) => {
      // A slow server: the job has to take some seconds.
      if (!pathname.startsWith('/api/docsets')) await new Promise((resolve) => setTimeout(resolve, 150));
      return false;
    });
    await stage.start();
    const began = Date.now();
    await stage.request(server.docsetUrl('txt'), 'd1');
    const events = await stage.eventsUntil('Complete');
    const elapsed = Date.now() - began;
    const progress = events.flatMap((event) => (event.type === 'Progress' ? [event] : []));
    expect(progress.length).toBeGreaterThan(0);
    expect(progress.length).toBeLessThanOrEqual(elapsed / 500);
    expect(events.map(({ sequence }) => sequence)).toEqual(events.map((_, index) => index + 1));
    for (const event of progress) {
      expect(event).toMatchObject({ documents: { total: 200 } });
      expect(event.remainingSeconds).toBeGreaterThan(0);
      // The first report comes at 5 %: nineteen times as much is left.
      expect(event.remainingSeconds).toBeLessThanOrEqual(Math.ceil((19 * elapsed) / 1000));
    }
  });
});

describe('a server of another make', () => {
  test('that sends no headers is answered with what its body alone says', async () => {
    await stage.start();
    await stage.sendBare(`\r\n ${server.url}/api/docsets/5?fmts=txt,meta \r\n`);
    const events = await stage.eventsUntil('Complete');
    const said = events.filter(({ type }) => type !== 'Progress');
    expect(said.map(({ type, dump, sequence }) => [type, dump, sequence])).toEqual([
      ['Accepted', undefined, undefined],
      ['Complete', undefined, undefined],
    ]);
    await readBag(await stage.readArchive(events.at(-1)));
    expect(server.headers[0]).not.toHaveProperty('adit-dump');
  });

  test('that lists refs only is asked for each document by its media type', async () => {
    const asked: string[] = [];
    const first = createServer((request, response) => {
      asked.push(`${String(request.url)} ${String(request.headers.accept)}`);
      if (request.url?.startsWith('/docsets/5') === true) {
        response.setHeader('Content-Type', 'application/json');
        response.end('{"id":5,"members":[{"url":"/documents/1","ref":"one"},{"url":"/documents/2","ref":"two"}]}');
      } else if (request.url === '/documents/2/text') response.writeHead(404).end();
      else response.end(`bytes of ${String(request.url)}`);
    });
    await new Promise<void>((resolve) => first.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(first.address() as AddressInfo).port}`;
    await stage.start({ API_URL: url });
    await stage.sendBare(`${url}/docsets/5?fmt=meta,txt`);
    const last = (await stage.eventsUntil('Complete')).at(-1);
    expect(last).toMatchObject({ documents: 1, omitted: 1 });
    const bag = await readBag(await stage.readArchive(last));
    expect(textOf(bag, 'data/one.txt')).toBe('bytes of /documents/1/text');
    expect(textOf(bag, 'data/two.json')).toBe('bytes of /documents/2');
    expect(textOf(bag, 'omitted.csv')).toBe('ref,format,reason\ntwo,txt,missing\n');
    expect(asked).toContain('/documents/1/text text/plain');
    await new Promise((resolve) => first.close(resolve));
  });
});

describe('the health port', () => {
  test('tells whether the broker is there, and what was done', async () => {
    const packager = await stage.start({ HEALTH_PORT: '0' });
    await stage.request(server.docsetUrl('txt'), 'd1');
    await stage.eventsUntil('Complete');
    const url = `http://127.0.0.1:${String(packager.healthPort())}`;
    const health = await fetch(`${url}/healthz`);
    expect(health.status).toBe(200);
    expect(await health.json()).toMatchObject({ healthy: true, broker: 'connected' });
    // Counted once the request is acknowledged, which is after the news of it.
    await waitUntil('the files are counted', async () =>
      (await (await fetch(`${url}/metrics`)).text()).includes('adit_packager_files_total{outcome="packed"} 2'),
    );
    expect((await fetch(`${url}/other`)).status).toBe(404);
    expect((await fetch(`${url}/metrics`, { method: 'POST' })).status).toBe(405);
    await stage.embedded.stop();
    await waitUntil('it says so', async () => (await fetch(`${url}/healthz`)).status === 503);
  });
});
