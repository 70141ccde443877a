/** Packagers in processes of their own, in other time zones, killed and frozen; with S3 where it is found. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';
import type { ArchiveStore } from '../../packager/archive-store/archive-store.js';
import { startTrap } from '../acceptance/ack-trap.js';
import { describeOn, startRadosgw, type Radosgw } from '../servers/index.js';
import { waitUntil } from '../servers/wait-until.js';
import { compilePackager, type CompiledPackager } from './compiled-packager.js';
import { KEY, startDocsetServer, type DocsetServer, type TestDocument } from './docset-server.js';
import { filesUnder, openStage, type Stage } from './packager-stage.js';
import { readBag } from './read-bag.js';

const MAIN = `
import { pino } from 'pino';
import { readPackagerConfig, startPackager } from './packager/index.js';
const packager = startPackager(readPackagerConfig(process.env), { log: pino({ level: 'silent' }) });
packager.ready.then(() => process.stdout.write('ready\\n'));
process.on('SIGTERM', () => packager.stop().then(() => process.exit(0)));
`;

/** Ends the first thread that the packager starts, in the middle of its work. */
const THREAD_KILLER = `
let answers = 0;
process.once('worker', (worker) => {
  worker.on('message', () => {
    if (++answers === 3) void worker.terminate();
  });
});
`;

let compiled: CompiledPackager;
let server: DocsetServer;
let stage: Stage;
const children: ChildProcess[] = [];

beforeAll(async () => {
  compiled = await compilePackager();
  await writeFile(join(compiled.folder, 'main.js'), MAIN);
  await writeFile(join(compiled.folder, 'thread-killer.js'), THREAD_KILLER);
});
afterAll(() => compiled.remove());

async function begin(documents: TestDocument[]): Promise<void> {
  server = await startDocsetServer(documents);
  stage = await openStage(server.url);
}
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await stage.close();
  await server.close();
});

async function startProcess(env: Record<string, string> = {}, options: string[] = []): Promise<ChildProcess> {
  const child = spawn(process.execPath, [...options, join(compiled.folder, 'main.js')], {
    env: {
      PATH: process.env['PATH'] ?? '',
      API_URL: server.url,
      PACKAGER_KEY: KEY,
      BROKER_URL: stage.embedded.url,
      DATA_DIR: stage.folder,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  await once(child.stdout, 'data');
  return child;
}

/** Documents of 1 MiB that hardly compress; the one at `at` is held back until `goOn`. */
function largeDocuments(count: number): TestDocument[] {
  return Array.from({ length: count }, (_, index) => {
    const content = Buffer.alloc(1024 * 1024);
    for (let at = 0; at < content.length; at += 4)
      content.writeUInt32LE(Math.imul(at + index + 1, 2_654_435_761) >>> 0, at);
    return { ref: `doc-${String(index).padStart(2, '0')}`, files: { pdf: { content, mediaType: 'application/pdf' } } };
  });
}

function holdBack(ref: string): { asked: () => Promise<unknown>; goOn: () => void } {
  let asked = false;
  let goOn: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (goOn = resolve));
  server.setFault(async (_request, _response, { pathname }) => {
    if (!pathname.includes(ref)) return false;
    asked = true;
    await released;
    return false;
  });
  return { asked: () => waitUntil('the document is asked for', () => asked), goOn };
}

test('a docset gives the same bytes in every time zone', async () => {
  await begin([{ ref: 'a', files: { txt: { content: 'text' }, meta: { content: '{}' } } }]);
  const archives: Buffer[] = [];
  for (const zone of ['UTC', 'Pacific/Kiritimati', 'America/St_Johns']) {
    const child = await startProcess({ TZ: zone });
    await stage.request(server.docsetUrl('meta,txt'), `d${archives.length}`);
    archives.push(await stage.readArchive((await stage.eventsUntil('Complete')).at(-1)));
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  for (const archive of archives) expect(archive.equals(archives[0] ?? Buffer.alloc(0))).toBe(true);
});

describe('a packager that is killed in the middle of an archive', () => {
  test('leaves its request to another, which clears up behind it', async () => {
    await begin(largeDocuments(20));
    const { asked, goOn } = holdBack('doc-19');
    const first = await startProcess();
    await stage.request(server.docsetUrl('pdf'), 'd1');
    await asked();
    await waitUntil('half an archive', async () => (await filesUnder(stage.archives)).length === 1);
    first.kill('SIGKILL');
    await once(first, 'exit');
    goOn();
    await startProcess();
    const events = await stage.eventsUntil('Complete');
    await readBag(await stage.readArchive(events.at(-1)));
    expect(await filesUnder(stage.archives)).toHaveLength(2);
  });
});

test('a packager whose thread dies fails that job at once, and makes the next one', async () => {
  await begin(largeDocuments(20));
  await startProcess({}, ['--import', pathToFileURL(join(compiled.folder, 'thread-killer.js')).href]);
  await stage.request(server.docsetUrl('pdf'), 'd1');
  expect((await stage.eventsUntil('Failed', 120_000)).at(-1)).toMatchObject({ code: 'internal' });
  await stage.request(server.docsetUrl('pdf'), 'd2');
  await readBag(await stage.readArchive((await stage.eventsUntil('Complete')).at(-1)));
  expect((await filesUnder(stage.archives)).filter((file) => file.startsWith('dumps/d1/'))).toEqual([]);
});

describe('a packager that is frozen', () => {
  test('changes nothing when it wakes up after another did its work', async () => {
    await begin(largeDocuments(20));
    const { asked, goOn } = holdBack('doc-19');
    const frozen = await startProcess();
    await stage.request(server.docsetUrl('pdf'), 'd1');
    await asked();
    frozen.kill('SIGSTOP');
    await startProcess();
    goOn();
    const events = await stage.eventsUntil('Complete');
    const files = await filesUnder(stage.archives);
    frozen.kill('SIGCONT');
    await stage.request(server.docsetUrl('pdf'), 'd2');
    const later = await stage.eventsUntil('Complete');
    expect(later.every(({ dump }) => dump === 'd2')).toBe(true);
    expect(events.filter(({ type }) => type === 'Complete')).toHaveLength(1);
    expect((await filesUnder(stage.archives)).filter((file) => file.startsWith('dumps/d1/'))).toEqual(files);
  });
});

describeOn('radosgw', 'archives in S3', () => {
  let gateway: Radosgw;
  let store: ArchiveStore;
  let env: Record<string, string>;
  beforeAll(async () => {
    gateway = await startRadosgw();
  }, 120_000);
  afterAll(() => gateway.close());
  beforeEach(async () => {
    const bucket = await gateway.createBucket();
    const { endpoint, region, accessKeyId, secretAccessKey } = gateway;
    env = {
      S3_BUCKET: bucket,
      S3_ENDPOINT: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
    };
    store = openS3ArchiveStore({ bucket, endpoint, region, credentials: { accessKeyId, secretAccessKey } });
  });
  afterEach(() => store.close());

  const keys = async (): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list('dumps/')) found.push(key);
    return found;
  };
  const readArchive = async (): Promise<Buffer> => {
    const key = (await keys()).find((name) => name.endsWith('.zip')) ?? '';
    return (await store.get(key)) ?? Buffer.alloc(0);
  };

  test('a job goes straight into a multipart upload', async () => {
    await begin(largeDocuments(30));
    await stage.start(env);
    await stage.request(server.docsetUrl('pdf'), 'd1');
    const last = (await stage.eventsUntil('Complete')).at(-1);
    expect(last).toMatchObject({ documents: 30, url: expect.stringContaining(`${gateway.endpoint}/`) });
    const bag = await readBag(await readArchive());
    expect(bag.files.size).toBe(36);
    expect(await store.listUnfinished('dumps/')).toEqual([]);
  });

  test('kill -9 in the middle of an upload leaves one, and the next run clears it away', async () => {
    await begin(largeDocuments(30));
    const { asked, goOn } = holdBack('doc-29');
    const first = await startProcess(env);
    await stage.request(server.docsetUrl('pdf'), 'd1');
    await asked();
    await waitUntil('an upload is under way', async () => (await store.listUnfinished('dumps/')).length === 1);
    first.kill('SIGKILL');
    await once(first, 'exit');
    expect(await store.listUnfinished('dumps/')).toHaveLength(1);
    goOn();
    await stage.start(env);
    await stage.eventsUntil('Complete');
    await readBag(await readArchive());
    expect(await keys()).toHaveLength(2);
    expect(await store.listUnfinished('dumps/')).toEqual([]);
  });

  test('kill -9 between archive and manifest leaves an archive that nobody names, and the next run clears it away', async () => {
    await begin(largeDocuments(3));
    const trap = await startTrap(gateway.port, /^PUT \S*manifest\.json/);
    try {
      trap.set();
      const first = await startProcess({ ...env, S3_ENDPOINT: `http://127.0.0.1:${trap.port}` });
      await stage.request(server.docsetUrl('pdf'), 'd1');
      await trap.sprung;
      first.kill('SIGKILL');
      await once(first, 'exit');
    } finally {
      await trap.close();
    }
    const [abandoned] = await keys();
    expect(abandoned).toMatch(/\.zip$/);
    await stage.start(env);
    await stage.eventsUntil('Complete');
    const left = await keys();
    expect(left.map((key) => key.replace(/.*\./, '')).sort()).toEqual(['json', 'zip']);
    expect(left).not.toContain(abandoned);
    await readBag(await readArchive());
  });

  test('a job that fails in the middle of an upload leaves none', async () => {
    await begin(largeDocuments(30));
    holdBack('doc-29');
    await stage.start({ ...env, STALL_TIMEOUT: '2s' });
    await stage.request(server.docsetUrl('pdf'), 'd1');
    expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({ code: 'packager-stalled' });
    expect(await keys()).toEqual([]);
    expect(await store.listUnfinished('dumps/')).toEqual([]);
  });

  test('a store that goes away fails the job, and says so', async () => {
    await begin(largeDocuments(40));
    const { asked, goOn } = holdBack('doc-20');
    await stage.start(env);
    await stage.request(server.docsetUrl('pdf'), 'd1');
    await asked();
    await gateway.kill();
    goOn();
    expect((await stage.eventsUntil('Failed', 120_000)).at(-1)).toMatchObject({ code: 'storage-unavailable' });
    await gateway.restart();
  });
});
