/** `adit ingest` as an operator runs it. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { waitUntil } from '../servers/index.js';
import { openWorkshop, type Workshop } from './sources.js';

const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

let service: FreshApiServer;
let workshop: Workshop;
let env: Record<string, string>;
beforeAll(async () => {
  service = await startFreshApiServer();
  workshop = await openWorkshop();
  env = { ADIT_URL: service.url, ADIT_KEY: await service.keyOf('Admin', 'admin') };
});
afterAll(async () => {
  await service.stop();
  await workshop.remove();
});

const ingest = (...args: string[]): Promise<{ code: number | null; out: string; err: string }> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, [MAIN, 'ingest', ...args], { env }, (_error, out, err) =>
      resolve({ code: child.exitCode, out, err }),
    );
  });
const show = async (collection: string) =>
  (await service.as(env['ADIT_KEY']).get(`/api/collections/${collection}`).expect(200)).body as { documents: number };

test('the exit code and the report say what was refused, and a terminal is not expected', async () => {
  const folder = await workshop.folder('theses', {
    'a.txt': 'a',
    'b.txt': 'b',
    'c.txt': 'c',
    'metadata.csv': 'ref,year\na,1900\nb,x\n',
  });
  const schema = await workshop.file('schema.json', '{"type":"object","properties":{"year":{"type":"integer"}}}');
  const report = join(workshop.path, 'report.csv');
  const facts = ['--name', 'Theses', '--licence', 'CC0-1.0', '--source', 'The library', '--schema', schema];
  expect(await ingest('theses', folder, ...facts, '--report', report)).toEqual({
    code: 2,
    out: 'Made the collection theses.\n2 added, 0 changed, 0 unchanged, 0 withdrawn, 1 refused.\n',
    err: 'refused: b.txt (b): metadata/year must be integer\n',
  });
  expect(await readFile(report, 'utf8')).toBe('kind,where,ref,reason\nrefused,b.txt,b,metadata/year must be integer\n');
  await workshop.file('theses/metadata.csv', 'ref,year\na,1900\nb,1901\n');
  expect(await ingest('theses', folder, '--licence', 'CC-BY-4.0')).toEqual({
    code: 0,
    out: '1 added, 0 changed, 2 unchanged, 0 withdrawn, 0 refused.\n',
    err: '',
  });
  expect(await show('theses')).toMatchObject({
    ...{ name: 'Theses', licence: 'CC-BY-4.0', source: 'The library', schema_given: true, documents: 3 },
  });
  const away = await ingest('theses', join(workshop.path, 'nowhere'));
  expect(away).toMatchObject({ code: 1, err: expect.stringContaining('ENOENT') });
  const most = await ingest('theses', await workshop.folder('less', { 'a.txt': 'a' }));
  expect(most).toMatchObject({ code: 1, err: expect.stringContaining('--withdraw-most') });
  expect(await show('theses')).toMatchObject({ documents: 3 });
});

test('a search engine that did not get the documents is told of, by an exit code too', async () => {
  const unsearchable = await startFreshApiServer(undefined, { SEARCH_URL: 'http://127.0.0.1:1' });
  const usual = env;
  try {
    env = { ADIT_URL: unsearchable.url, ADIT_KEY: await unsearchable.keyOf('Admin', 'admin') };
    const told = await ingest('late', await workshop.folder('late', { 'a.txt': 'a' }));
    expect(told).toMatchObject({
      code: 3,
      out: 'Made the collection late.\n1 added, 0 changed, 0 unchanged, 0 withdrawn, 0 refused.\n',
      err: expect.stringContaining('"adit reindex late"'),
    });
  } finally {
    env = usual;
    await unsearchable.stop();
  }
});

test('killed in the middle and run again, it doubles nothing, and sends only what is not there', async () => {
  const lines = Array.from({ length: 2_400 }, (_, n) => `{"ref":"r${n}","files":{"txt":{"text":"text of ${n}"}}}\n`);
  const half = lines.slice(0, 1_200).join('');
  const whole = lines.join('');
  let held: ServerResponse | undefined;
  const remote = createServer((_request, response) => {
    response.setHeader('Content-Length', whole.length);
    if (held !== undefined) return void response.end(whole);
    held = response;
    response.write(half);
  });
  await new Promise<void>((resolve) => remote.listen(0, '127.0.0.1', resolve));
  const source = `http://127.0.0.1:${(remote.address() as AddressInfo).port}/all.jsonl`;
  let looks = 0;
  const count = ({ sql }: { sql: string }) => (looks += sql.includes('digest, current from documents') ? 1 : 0);
  service.parts.knex.on('query', count);
  try {
    const first = spawn(process.execPath, [MAIN, 'ingest', 'killed', source], { env, stdio: 'ignore' });
    await waitUntil('fifty and fifty documents have come', () => Promise.resolve(looks >= 10));
    first.kill('SIGKILL');
    await once(first, 'exit');
    const documents = async () => (await show('killed')).documents;
    await waitUntil('what came whole is written', async () => (await documents()) >= 500);
    const kept = await documents();
    expect(kept).toBeLessThan(1_200);
    const { code, out } = await ingest('killed', source);
    expect({ code, out }).toEqual({
      code: 0,
      out: `${2_400 - kept} added, 0 changed, ${kept} unchanged, 0 withdrawn, 0 refused.\n`,
    });
    expect(await documents()).toBe(2_400);
    const rows = await service.parts
      .knex('documents')
      .where({ collection_id: 'killed' })
      .count<{ count: string }[]>('*');
    expect(rows).toEqual([{ count: '2400' }]);
  } finally {
    service.parts.knex.off('query', count);
    remote.close();
    remote.closeAllConnections();
  }
});

test('a pipe of JSON lines is never taken for the whole', async () => {
  const piped = (text: string) =>
    new Promise<string>((resolve) => {
      const child = execFile(process.execPath, [MAIN, 'ingest', 'piped', '-'], { env }, (_error, out) => resolve(out));
      child.stdin?.end(text);
    });
  await piped('{"ref":"a"}\n{"ref":"b"}\n{"ref":"c"}\n');
  expect(await piped('{"ref":"a"}\n{"ref":"b"}\n')).toBe('0 added, 0 changed, 2 unchanged, 0 refused.\n');
  expect(await show('piped')).toMatchObject({ documents: 3 });
});
