/** Requests that come twice, go to another packager, or are withdrawn. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  DEAD_LETTERS,
  decodeManifest,
  DELETE_REQUESTS,
  encodeManifest,
  eventsOf,
  type DumpManifest,
} from '../../queue-config/index.js';
import { openFolderArchiveStore } from '../../packager/archive-store/folder-archive-store.js';
import { startTcpProxy, type TcpProxy } from '../servers/tcp-proxy.js';
import { waitUntil } from '../servers/wait-until.js';
import { sha256, startDocsetServer, type DocsetServer } from './docset-server.js';
import { filesUnder, openStage, type Stage } from './packager-stage.js';
import { readBag } from './read-bag.js';

const COUNT = 40;
let server: DocsetServer;
let proxy: TcpProxy;
let stage: Stage;

beforeEach(async () => {
  const documents = Array.from({ length: COUNT }, (_, index) => ({
    ref: `doc-${String(index).padStart(2, '0')}`,
    files: { txt: { content: `text of ${index}` } },
  }));
  server = await startDocsetServer(documents);
  stage = await openStage(server.url);
  proxy = await startTcpProxy(Number(new URL(stage.embedded.url).port));
});
afterEach(async () => {
  await stage.close();
  await proxy.close();
  await server.close();
});

const proxied = () => ({ BROKER_URL: `stomp://127.0.0.1:${proxy.port}` });

/** From now on the last document is held back; `asked` resolves when it is asked for. */
function holdLastDocument(): { asked: () => Promise<unknown>; goOn: () => void } {
  let asked = false;
  let goOn: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (goOn = resolve));
  server.setFault(async (_request, _response, { pathname }) => {
    if (!pathname.includes(`doc-${COUNT - 1}`)) return false;
    asked = true;
    await released;
    return false;
  });
  return { asked: () => waitUntil('the last document is asked for', () => asked), goOn };
}

const manifestOf = (archive: DumpManifest['archive']): DumpManifest => ({
  version: 1,
  dump: 'd1',
  attempt: 1,
  run: 1,
  docset: '5',
  formats: ['txt'],
  archive,
  counts: { requested: 7, packed: 6, omitted: 1 },
  files: { requested: 7, packed: 6, omitted: 1 },
  timeline: [],
  completed: '2026-11-22T01:00:00.000Z',
});

/** An archive with its manifest, as another run would have left them. */
async function leaveArchive(content = 'the archive of another run'): Promise<DumpManifest> {
  const manifest = manifestOf({ key: 'dumps/d1/1/other.zip', size: content.length, sha256: sha256(content) });
  await mkdir(join(stage.archives, 'dumps/d1/1'), { recursive: true });
  await writeFile(join(stage.archives, 'dumps/d1/1/other.zip'), content);
  await writeFile(join(stage.archives, 'dumps/d1/1/manifest.json'), encodeManifest(manifest));
  return manifest;
}

describe('a packager that loses its broker in the middle of a job', () => {
  test('says no more, and the next run completes with the only archive', async () => {
    const { asked, goOn } = holdLastDocument();
    await stage.start(proxied());
    await stage.request(server.docsetUrl('txt'), 'd1');
    await asked();
    const events = await stage.eventsUntil('Accepted');
    proxy.cut();
    goOn();
    events.push(...(await stage.eventsUntil('Complete')));
    const last = events.at(-1);
    const [first, second] = [events[0]?.run, last?.run];
    // A machine that is slow hears of progress too.
    const said = events.filter(({ type }) => type !== 'Progress').map(({ run, type }) => [run, type]);
    expect(said).toEqual([
      [first, 'Accepted'],
      [second, 'Accepted'],
      [second, 'Complete'],
    ]);
    expect(new Set(events.map(({ run }) => run)).size).toBe(2);
    for (const run of [first, second]) {
      const sequences = events.filter((event) => event.run === run).map(({ sequence }) => sequence);
      expect(sequences).toEqual(sequences.map((_, index) => index + 1));
    }
    await readBag(await stage.readArchive(last));
    const files = await filesUnder(stage.archives);
    expect(files).toEqual([
      'dumps/d1/1/manifest.json',
      expect.stringMatching(/^dumps\/d1\/1\/[a-z0-9]+-[0-9a-f]{12}\.zip$/),
    ]);
    const manifest = decodeManifest(
      (await openFolderArchiveStore(stage.archives).get('dumps/d1/1/manifest.json'))?.toString() ?? '',
    );
    expect(manifest.archive.key).toBe(files[1]);
  });
});

describe('a packager that is stopped in the middle of a job', () => {
  test('gives the request back at once, leaves nothing half, and another completes it', async () => {
    const { asked, goOn } = holdLastDocument();
    const first = await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    await asked();
    await first.stop();
    expect(await filesUnder(stage.archives)).toEqual([]);
    expect(stage.requests()).toBe(1);
    goOn();
    await stage.start();
    const events = await stage.eventsUntil('Complete');
    const ends = events.map(({ type }) => type).filter((type) => type !== 'Progress');
    expect(ends).toEqual(['Accepted', 'Accepted', 'Complete']);
    await waitUntil('the request is acknowledged', () => stage.requests() === 0);
  });
});

describe('a dump that is there already', () => {
  test('is reported from its manifest, and nothing is fetched', async () => {
    const manifest = await leaveArchive();
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({
      size: manifest.archive.size,
      sha256: manifest.archive.sha256,
      documents: 6,
      omitted: 1,
    });
    expect(server.requests).toEqual([]);
  });

  test('is built again where its archive is not the one of the manifest', async () => {
    await leaveArchive();
    await writeFile(join(stage.archives, 'dumps/d1/1/other.zip'), 'cut');
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ documents: COUNT });
  });

  test('finished by another run in the meantime stays, and the loser deletes its own archive', async () => {
    const { asked, goOn } = holdLastDocument();
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    await asked();
    const winner = await leaveArchive();
    goOn();
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ sha256: winner.archive.sha256, documents: 6 });
    expect(await filesUnder(stage.archives)).toEqual(['dumps/d1/1/manifest.json', 'dumps/d1/1/other.zip']);
  });
});

describe('what a packager that died left unfinished', () => {
  test('is cleared away in this attempt and those before it, and left alone in a later one', async () => {
    for (const attempt of [1, 2, 3]) {
      await mkdir(join(stage.archives, `dumps/d1/${attempt}`), { recursive: true });
      await writeFile(join(stage.archives, `dumps/d1/${attempt}/.half.zip.0123456789abcdef`), 'half');
    }
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1', 2);
    await stage.eventsUntil('Complete');
    expect((await filesUnder(stage.archives)).filter((file) => file.includes('half'))).toEqual([
      'dumps/d1/3/.half.zip.0123456789abcdef',
    ]);
  });
});

describe('a delete request', () => {
  test('frees everything of its dump and nothing of others', async () => {
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    await stage.request(server.docsetUrl('txt'), 'd10');
    await waitUntil(
      'both are complete',
      async () => (await filesUnder(stage.archives)).filter((file) => file.endsWith('manifest.json')).length === 2,
    );
    await stage.requestDelete('d1');
    await waitUntil(
      'd1 is gone',
      async () => !(await filesUnder(stage.archives)).some((file) => file.startsWith('dumps/d1/')),
    );
    // The archive of d10 and its manifest; a manifest is seen a moment before its draft is gone.
    await waitUntil('d10 is there', async () => (await filesUnder(stage.archives)).length === 2);
  });

  test('ends the job that is building the dump, without a word', async () => {
    const { asked } = holdLastDocument();
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    await asked();
    await stage.requestDelete('d1');
    await waitUntil('the request is acknowledged', () => stage.requests() === 0);
    expect(await filesUnder(stage.archives)).toEqual([]);
    const types = (await stage.eventsUntil('Accepted')).map(({ type }) => type);
    expect(types.filter((type) => type !== 'Progress')).toEqual(['Accepted']);
  });
});

describe('a message that cannot be read', () => {
  test.each(['', 'no url', 'http://server/api/docsets/5?fmt=t*t', 'ftp://server/docsets/5'])(
    '%j goes to the dead letters with the reason, and those behind it are served',
    async (body) => {
      await stage.start();
      await stage.sendBare(body);
      await stage.request(server.docsetUrl('txt'), 'd1');
      await stage.eventsUntil('Complete');
      const [letter, ...others] = await stage.drain(DEAD_LETTERS);
      expect(others).toEqual([]);
      expect(letter?.body).toMatch(/^Unreadable: .+\nQueue: \/queue\/docsets\/package\n/);
      expect(letter?.body).toContain(body);
    },
  );

  test('is buried from the delete queue too', async () => {
    await stage.start();
    await stage.broker.publish({ destination: DELETE_REQUESTS, headers: {}, body: 'dumps/../x/', persistent: true });
    const letters = await waitUntil('a dead letter', async () => {
      const found = await stage.drain(DEAD_LETTERS);
      return found.length > 0 && found;
    });
    expect(letters[0]?.body).toContain('dumps/../x/');
  });
});

test('the queue of a docset holds persistent messages for its end only', async () => {
  await stage.start();
  await stage.request(server.docsetUrl('txt'), 'd1');
  await waitUntil('the job has ended', () => server.requests.length > COUNT && stage.requests() === 0);
  const messages = await stage.drain(eventsOf('5'));
  // A machine that is slow hears of progress too.
  const said = messages.filter(({ headers }) => headers['status'] !== 'progress');
  expect(said.map(({ headers }) => [headers['status'], headers['persistent']])).toEqual([
    ['accepted', undefined],
    ['complete', 'true'],
  ]);
});
