/** What becomes of each kind of source, and of what is wrong in it. */
import { randomBytes } from 'node:crypto';
import { createServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { readFile, stat, truncate } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ask, ensureCollection, type Server } from '../../cli/ingest/ingest-client.js';
import { ingestSource, type Outcome, type Remark } from '../../cli/ingest/ingest-source.js';
import { openSource } from '../../cli/ingest/open-source.js';
import { startFreshApiServer, type FreshApiServer } from '../api-server/fresh-api-server.js';
import { openWorkshop, type Files, type Workshop } from './sources.js';

let service: FreshApiServer;
let server: Server;
let workshop: Workshop;
beforeAll(async () => {
  service = await startFreshApiServer();
  server = { url: service.url, key: await service.keyOf('Admin', 'admin') };
  workshop = await openWorkshop();
});
afterAll(async () => {
  await service.stop();
  await workshop.remove();
});

interface Result extends Outcome {
  remarks: string[];
}

async function ingest(
  collection: string,
  given: string,
  options: { partial?: boolean; most?: boolean } = {},
): Promise<Result> {
  await ensureCollection(server, { id: collection, name: collection });
  const schema = await ask<object>(server, 'GET', `/collections/${collection}/schema`);
  const source = await openSource(given, schema);
  const remarks: string[] = [];
  const onRemark = ({ kind, where, ref, reason }: Remark) =>
    remarks.push(`${kind} ${where} (${ref ?? '?'}): ${reason}`);
  try {
    const wish = { collection, partial: false, most: false, onRemark, onProgress: () => undefined, ...options };
    return { ...(await ingestSource(server, source, wish)), remarks };
  } finally {
    await source.close();
  }
}

interface Found {
  ref: string;
  title: string;
  url: string;
}

async function documentsOf(collection: string): Promise<Found[]> {
  const body = { query: { match_all: {} }, limit: 100 };
  return (await ask<{ documents: Found[] }>(server, 'POST', `/collections/${collection}/search`, body)).documents;
}
const refsOf = async (collection: string): Promise<string[]> => (await documentsOf(collection)).map(({ ref }) => ref);

interface Described {
  metadata: object;
  formats: { format: string; media_type: string; size: number }[];
}
async function documentOf(collection: string, ref: string): Promise<Described> {
  const found = (await documentsOf(collection)).find((document) => document.ref === ref);
  return ask<Described>(server, 'GET', found?.url ?? '/documents/0');
}

const CORPUS: Files = {
  'b.txt': 'The second text.',
  'a.txt': 'The first text.',
  'a.pdf': Buffer.from('%PDF-1.4 not really'),
  'a.tei.xml': '<TEI/>',
  'below/c.HTML': Buffer.from('<p>Gr\u00fc\u00dfe</p>', 'latin1'),
  'below/c.json': '{"tokens": 3}',
  'a.meta.json': '{"title": "First", "year": 1900}',
};

const kinds: [string, (name: string, files: Files) => Promise<string>, string][] = [
  ['a folder', (name, files) => workshop.folder(name, files), ''],
  ['a zip', (name, files) => workshop.zip(name, files), '.zip'],
  ['a tar', (name, files) => workshop.tar(name, files), '.tar'],
  ['a gzipped tar', (name, files) => workshop.tar(name, files), '.tar.gz'],
];

test.each(kinds)('%s: the files that differ in their ending only are one document', async (kind, make, ending) => {
  const collection = `k${kinds.findIndex(([name]) => name === kind)}`;
  const source = await make(`corpus${ending}`, CORPUS);
  expect(await ingest(collection, source)).toMatchObject({ added: 3, refused: 0, withdrawn: 0, remarks: [] });
  expect(await refsOf(collection)).toEqual(['a', 'b', 'below/c']);
  const first = await documentOf(collection, 'a');
  expect(first.metadata).toEqual({ title: 'First', year: 1900 });
  expect(first.formats.map(({ format, media_type, size }) => [format, media_type, size])).toEqual([
    ['meta', 'application/ld+json', expect.any(Number)],
    ['pdf', 'application/pdf', 19],
    ['tei', 'application/tei+xml', 6],
    ['txt', 'text/plain; charset=utf-8', 15],
  ]);
  const third = await documentOf(collection, 'below/c');
  expect(third.metadata).toEqual({ title: 'c' });
  expect(third.formats.map(({ format, media_type }) => [format, media_type])).toEqual([
    ['html', 'text/html'],
    ['json', 'application/json'],
    ['meta', 'application/ld+json'],
  ]);

  const same = await ingest(collection, source);
  expect(same).toMatchObject({ added: 0, changed: 0, unchanged: 3, withdrawn: 0 });
  const rest = Object.fromEntries(Object.entries(CORPUS).filter(([name]) => name !== 'b.txt'));
  const changed = await make(`changed${ending}`, { ...rest, 'a.txt': 'The first text, corrected.' });
  expect(await ingest(collection, changed)).toMatchObject({ added: 0, changed: 1, unchanged: 1, withdrawn: 1 });
  expect(await refsOf(collection)).toEqual(['a', 'below/c']);
});

test.each(kinds.slice(1))(
  '%s: the one folder that everything lies in is no part of refs',
  async (kind, make, ending) => {
    const collection = `top${kinds.findIndex(([name]) => name === kind)}`;
    const files = Object.fromEntries(Object.entries(CORPUS).map(([name, content]) => [`corpus-1.0/${name}`, content]));
    const source = await make(`top${ending}`, {
      ...files,
      'corpus-1.0/metadata.csv': 'ref,title,year\nb,Second,1901\n',
    });
    expect(await ingest(collection, source)).toMatchObject({ added: 3, remarks: [] });
    expect(await refsOf(collection)).toEqual(['a', 'b', 'below/c']);
    expect((await documentOf(collection, 'b')).metadata).toEqual({ title: 'Second', year: '1901' });
  },
);

test.each([
  ['metadata.csv', 'ref,title\na,One\nb,"Two, ""too"""\nnowhere,Three\na,Four\n'],
  [
    'metadata.jsonl',
    ['a:One', 'b:Two, "too"', 'nowhere:Three', 'a:Four']
      .map((pair) => pair.split(':'))
      .map(([ref, title]) => `${JSON.stringify({ ref, metadata: { title } })}\n`)
      .join(''),
  ],
])('%s at the top describes the documents, and rows without a file are told', async (name, content) => {
  const collection = name.replace('.', '-');
  const source = await workshop.zip(`${name}.zip`, { 'b.txt': 'two', 'a.txt': 'one', [name]: content });
  const result = await ingest(collection, source);
  expect(result).toMatchObject({ added: 2, refused: 2 });
  expect(result.remarks).toEqual([
    'refused the metadata (a): another row of the metadata has the same ref',
    'refused the metadata (nowhere): there is no file of this ref',
  ]);
  expect((await documentsOf(collection)).map(({ ref, title }) => [ref, title])).toEqual([
    ['a', 'One'],
    ['b', 'Two, "too"'],
  ]);
});

test('a CSV names its columns, its files and its texts, and the schema says what is a number', async () => {
  const schema = { type: 'object', properties: { year: { type: 'integer' }, open: { type: 'boolean' } } };
  await ensureCollection(server, { id: 'csv', name: 'csv', schema });
  await workshop.folder('csv', {
    'pdfs/one.pdf': '%PDF',
    'texts/1.txt': 'one',
    'texts/latin.txt': Buffer.from([0xe9]),
  });
  const source = await workshop.file(
    'csv/theses.csv',
    '\ufeffref,title,year,open,file:pdf,file,text\r\n' +
      'one,"Multi\nline",1900,TRUE,pdfs/one.pdf,texts/1.txt,\r\n' +
      'two,,1901,,,,The text itself.\r\n' +
      'three,x,1902,,,../../etc/passwd.txt,\r\n' +
      'four,x,1903,,,texts/missing.txt,\r\n' +
      'five,x,1904,,,texts/latin.txt,\r\n' +
      'six,x,MDCC,,,,\r\n' +
      'two,again,1905,,,,\r\n' +
      'seven,too short\r\n',
  );
  const result = await ingest('csv', source);
  expect(result.remarks).toEqual([
    'refused row 4 (three): ../../etc/passwd.txt: its path leads out of the source (..)',
    'refused row 5 (four): texts/missing.txt: there is no such file',
    'refused row 6 (five): its txt is not valid UTF-8',
    'refused row 9 (seven): it has 2 cells, and the first row has 7',
    'refused row 8 (two): another document of the source has the same ref',
    'refused row 7 (six): metadata/year must be integer',
  ]);
  expect(result).toMatchObject({ added: 2, refused: 6 });
  expect((await documentOf('csv', 'one')).metadata).toEqual({ title: 'Multi\nline', year: 1900, open: true });
  expect((await documentOf('csv', 'one')).formats.map(({ format }) => format)).toEqual(['meta', 'pdf', 'txt']);
  expect((await documentOf('csv', 'two')).metadata).toEqual({ year: 1901 });
});

test('a CSV breaks off at a row with half of a quotation, and says which one', async () => {
  const source = await workshop.file('broken.csv', 'ref,text\na,A\nb,"B\nc,C\n');
  await expect(ingest('broken-csv', source, { partial: true })).rejects.toThrow(
    /^Row 3 of the CSV cannot be read: Quote Not Closed/,
  );
});

test.each([
  ['', `b,${'x'.repeat(65 * 1024 * 1024)}\nc,"C\nC"\n"d",D\n`, 3],
  [' with quoted lines', `b,"${'x ""y"",\n'.repeat(8 * 1024 * 1024)}"\nc,"C\nC"\n"d",D\n`, 3],
  [' since a quotation is never closed', `b,"${'x\n'.repeat(33 * 1024 * 1024)}\nc,C\n`, 1],
])('a row of a CSV that is too long%s is told, and those behind it are read', async (what, rows, added) => {
  const source = await workshop.file('long.csv', `ref,text\na,A\n${rows}`);
  const result = await ingest(`long-csv${what.replaceAll(' ', '-')}`, source, { partial: true });
  expect(result).toMatchObject({ added, refused: 1 });
  expect(result.remarks).toEqual([expect.stringMatching(/^refused row 3 \(\?\): it is longer than 64 MiB/)]);
});

test('a metadata.csv that names files lists the documents of a zip', async () => {
  const source = await workshop.zip('listed.zip', {
    'metadata.csv': 'ref,title,file:txt,file:pdf\nthesis-1,One,txt/1.txt,pdf/1.pdf\n',
    'txt/1.txt': 'one',
    'pdf/1.pdf': '%PDF',
    'txt/unlisted.txt': 'nobody asked for it',
  });
  expect(await ingest('listed', source)).toMatchObject({ added: 1, refused: 0 });
  expect((await documentOf('listed', 'thesis-1')).formats.map(({ format }) => format)).toEqual(['meta', 'pdf', 'txt']);
});

test('JSON lines may name files beside them, and a line that is none is refused', async () => {
  await workshop.folder('lines', { 'a.pdf': '%PDF' });
  const source = await workshop.file(
    'lines/all.jsonl',
    '{"ref":"a","metadata":{"title":"A"},"files":{"txt":{"text":"hello"},"pdf":{"path":"a.pdf"}}}\n' +
      '{"ref":"b","files":{"pdf":{"path":"../secret.pdf"}}}\nnot json\n{"ref":"c"}\n',
  );
  const result = await ingest('lines', source);
  expect(result.remarks).toEqual([
    'refused line 2 (b): ../secret.pdf: its path leads out of the source (..)',
    'refused line 3 (?): the line is not JSON',
  ]);
  // Line 3 may have been any of them.
  expect(result).toMatchObject({ added: 2, withdrawn: null, keptSince: expect.stringContaining('1 refused part') });
  expect((await documentOf('lines', 'a')).formats.map(({ format }) => format)).toEqual(['meta', 'pdf', 'txt']);
});

const GIB = 1024 * 1024 * 1024;

const AT_MOST = 'a file may have 47 MiB, since it is sent in a line of 64 MiB at most';

test('what cannot be a document is told, and the rest goes on: a folder', async () => {
  const folder = await workshop.folder('faults', {
    ...{
      'good.txt': 'good',
      'latin.txt': Buffer.from('Gr\u00fc\u00dfe', 'latin1'),
      README: 'no ending',
      '.hidden.txt': 'x',
    },
    ...{ 'twice.txt': 'one', 'twice.TXT': 'two', 'broken.txt': 'x', 'broken.meta.json': '[]' },
  });
  await workshop.sparse('faults/huge.txt', 2 * GIB);
  const result = await ingest('faults', folder);
  expect(result.remarks.sort()).toEqual([
    'refused broken.meta.json (broken): it is not a JSON object',
    `refused huge.txt (huge): it has 2147483648 bytes (2 GiB); ${AT_MOST}`,
    'refused latin.txt (latin): its txt is not valid UTF-8',
    'refused twice.txt (twice): there is another txt of twice',
    'skipped .hidden.txt (?): hidden',
    'skipped README (?): no format: its name has no ending such as .txt',
  ]);
  expect(await refsOf('faults')).toEqual(['good', 'twice']);
});

/** The same bytes with one name for another of the same length, in every header. */
const renamed = (archive: Buffer, from: string, to: string): Buffer =>
  Buffer.from(archive.toString('latin1').replaceAll(from, to), 'latin1');

test('what cannot be a document is told, and the rest goes on: a zip', async () => {
  const path = await workshop.zip('faults.zip', {
    ...{
      'good.txt': 'good',
      'xx/evil.txt': 'evil',
      'bomb.txt': Buffer.alloc(40 * 1024 * 1024),
      'liar.txt': Buffer.alloc(5_000),
    },
    ...{
      'huge.txt': Buffer.alloc(50 * 1024 * 1024, 'Some text of no great interest. '),
      'flip.txt': 'flipped',
      'same.txt': 'a',
      'sane.txt': 'b',
    },
  });
  const zip = renamed(renamed(await readFile(path), 'xx/evil.txt', '../evil.txt'), 'sane.txt', 'same.txt');
  // The directory says that it has fewer bytes than it has, and another checksum.
  const liar = zip.lastIndexOf('liar.txt');
  zip.writeUInt32LE(4_000, liar - 22);
  const flip = zip.lastIndexOf('flip.txt');
  zip.writeUInt32LE(1, flip - 30);
  const result = await ingest('zipped', await workshop.file('faults.zip', zip));
  expect(result.remarks.sort()).toEqual([
    'refused ../evil.txt (../evil.txt): its path leads out of the source (..)',
    expect.stringMatching(
      /^refused bomb\.txt \(bomb\): it would unpack to 41943040 bytes, \d+ times as much as it is: a zip bomb$/,
    ),
    'refused flip.txt (flip): its bytes do not fit its checksum',
    expect.stringMatching(/^refused huge\.txt \(huge\): it (has 52428800 bytes|would unpack to 52428800)/),
    'refused liar.txt (liar): it would unpack to more than the 4000 bytes that the zip says: a zip bomb',
    'refused same.txt (same): there is another txt of same',
  ]);
  expect(await refsOf('zipped')).toEqual(['good', 'same']);
});

test('what cannot be a document is told, and the rest goes on: a tar', async () => {
  const source = await workshop.tar('faults.tar.gz', {
    ...{ 'z.txt': 'last in the order, first in the tar', '../evil.txt': 'evil', '/abs.txt': 'absolute' },
    ...{ 'huge.txt': Buffer.alloc(50 * 1024 * 1024), 'z.pdf': '%PDF', 'a.txt': Buffer.from([0xff]) },
  });
  const result = await ingest('tarred', source);
  expect(result.remarks.sort()).toEqual([
    'refused ../evil.txt (../evil.txt): its path leads out of the source (..)',
    'refused /abs.txt (/abs.txt): its path is absolute',
    'refused a.txt (a): its txt is not valid UTF-8',
    `refused huge.txt (huge): it has 52428800 bytes (50 MiB); ${AT_MOST}`,
  ]);
  expect((await documentOf('tarred', 'z')).formats.map(({ format }) => format)).toEqual(['meta', 'pdf', 'txt']);
});

test('a document that is refused, and was there, stays as it was', async () => {
  await ingest('stays', await workshop.folder('stays-1', { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' }));
  const result = await ingest(
    'stays',
    await workshop.folder('stays-2', { 'a.txt': Buffer.from([0xff]), 'b.txt': 'b' }),
  );
  expect(result).toMatchObject({ unchanged: 1, refused: 1, withdrawn: 1 });
  expect(await refsOf('stays')).toEqual(['a', 'b']);
});

test('a source that is broken off, empty, or the wrong one withdraws nothing', async () => {
  const whole = await workshop.tar('whole.tar.gz', { 'a.txt': 'a', 'b.txt': 'b', 'c.txt': 'c' });
  await ingest('safe', whole);
  const { size } = await stat(whole);
  await truncate(whole, size - 20);
  await expect(ingest('safe', whole)).rejects.toThrow();
  expect(await ingest('safe', await workshop.folder('nothing', {}))).toMatchObject({
    ...{ withdrawn: null, keptSince: 'the source has no documents' },
  });
  const other = await workshop.folder('other', { 'x.txt': 'x' });
  await expect(ingest('safe', other)).rejects.toThrow(/3 of the 4 documents.*--withdraw-most/);
  expect(await refsOf('safe')).toEqual(['a', 'b', 'c', 'x']);
  expect(await ingest('safe', other, { partial: true })).toMatchObject({ unchanged: 1, withdrawn: null });
  expect(await ingest('safe', other, { most: true })).toMatchObject({ unchanged: 1, withdrawn: 3 });
  expect(await refsOf('safe')).toEqual(['x']);
});

interface FileServer {
  url: string;
  requests: { url: string; range: string | undefined }[];
  server: HttpServer;
}

/** Serves these bytes, and cuts the first answers of each path off in the middle. */
async function serve(
  files: Files,
  { cuts = 0, mark = true }: { cuts?: number; mark?: boolean } = {},
): Promise<FileServer> {
  const requests: FileServer['requests'] = [];
  const left = new Map(Object.keys(files).map((name) => [name, cuts]));
  const http = createServer((request, response) => {
    const name = (request.url ?? '').slice(1);
    requests.push({ url: name, range: request.headers.range });
    const content = files[name];
    if (content === undefined) return void response.writeHead(404).end();
    const all = Buffer.from(content);
    const start = Number(/bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const body = all.subarray(start);
    response.writeHead(start > 0 ? 206 : 200, {
      'Content-Length': body.length,
      ...(mark && { ETag: '"1"', 'Accept-Ranges': 'bytes' }),
      ...(start > 0 && { 'Content-Range': `bytes ${start}-${all.length - 1}/${all.length}` }),
    });
    const cut = left.get(name) ?? 0;
    left.set(name, cut - 1);
    if (cut <= 0) return void response.end(body);
    response.write(body.subarray(0, Math.ceil(body.length / 2)));
    response.socket?.end();
  });
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, requests, server: http };
}

test('a source behind a URL goes on where its connection broke', async () => {
  // Too large to lie unread in buffers when the connection breaks.
  const large = { ...CORPUS, 'b.pdf': randomBytes(16 * 1024 * 1024) };
  const zip = await readFile(await workshop.zip('remote.zip', large));
  const tar = await readFile(await workshop.tar('remote.tar.gz', CORPUS));
  const csv = 'ref,file\na,texts/a.txt\nb,http://example.org/b.txt\nc,texts/none.txt\n';
  const files = { 'r.zip': zip, 'r.tar.gz': tar, 'r.csv': csv, 'texts/a.txt': 'a' };
  const remote = await serve(files, { cuts: 2 });
  try {
    expect(await ingest('remote-zip', `${remote.url}/r.zip`)).toMatchObject({ added: 3, refused: 0 });
    expect(await ingest('remote-tar', `${remote.url}/r.tar.gz`)).toMatchObject({
      added: 3,
    });
    const result = await ingest('remote-csv', `${remote.url}/r.csv`);
    expect(result.remarks).toEqual([
      'refused row 3 (b): http://example.org/b.txt: it is not on the same server',
      expect.stringMatching(/^refused row 4 \(c\): texts\/none\.txt: .* was answered 404$/),
    ]);
    expect(result).toMatchObject({ added: 1 });
    const ranges = remote.requests.filter(({ url }) => url === 'r.zip').map(({ range }) => range);
    const later = expect.stringMatching(/^bytes=[1-9]\d*-$/);
    expect(ranges).toEqual([undefined, later, later]);
  } finally {
    remote.server.close();
    remote.server.closeAllConnections();
  }
});

test('a source behind a URL that cannot be resumed is broken off, and withdraws nothing', async () => {
  const remote = await serve({ 'r.jsonl': '{"ref":"a"}\n{"ref":"b"}\n' }, { cuts: 1, mark: false });
  try {
    await expect(ingest('remote-cut', `${remote.url}/r.jsonl`)).rejects.toThrow(/the server cannot resume it/);
    expect(await ingest('remote-cut', `${remote.url}/r.jsonl`)).toMatchObject({ withdrawn: 0 });
  } finally {
    remote.server.close();
    remote.server.closeAllConnections();
  }
});

test('a kind that is not known is refused with those that are', async () => {
  await expect(openSource(await workshop.file('x.rar', ''), {})).rejects.toThrow(/a folder, \.zip, \.tar/);
});
