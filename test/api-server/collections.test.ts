import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ndjson, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(collectionsBehave);

interface Report {
  added: number;
  changed: number;
  unchanged: number;
  refused: { line: number; ref: string | null; reason: string }[];
  partly_indexed: object[];
}

function collectionsBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let admin: Client;
  let miner: Client;
  beforeAll(async () => {
    server = await start();
    admin = server.as(await server.keyOf('Admin', 'admin'));
    miner = server.as(await server.keyOf('Ada'));
    for (const id of ['c', 'd', 'e']) await admin.post('/api/collections').send({ id, name: id.toUpperCase() });
  });
  afterAll(() => server.stop());

  const send = async (collection: string, body: string | Buffer): Promise<Report> => {
    const response = await admin
      .post(`/api/collections/${collection}/documents`)
      .set('Content-Type', 'application/x-ndjson')
      .send(body)
      .expect(200);
    return response.body as Report;
  };

  test('a collection is where clients of the first Adit look for it', async () => {
    expect((await miner.get('/api/collections').expect(200)).body).toContainEqual({
      url: '/collections/c',
      id: 'c',
      name: 'C',
      description: null,
      documents: 0,
    });
    expect((await miner.get('/api/collections/c').expect(200)).body).toMatchObject({
      url: '/collections/c',
      schema_url: '/collections/c/schema',
      search_url: '/collections/c/search',
      name: 'C',
      documents: 0,
      formats: [],
    });
    expect((await miner.get('/api/collections/c/schema').expect(200)).body).toMatchObject({ type: 'object' });
  });

  test('the same ingest twice writes nothing the second time, and a change only what changed', async () => {
    const documents = [
      { ref: 'a', metadata: { title: 'One', year: 1 }, files: { txt: { text: 'one fish' } } },
      { ref: 'b', metadata: { title: 'Two' }, files: { pdf: { base64: Buffer.from('%PDF').toString('base64') } } },
    ];
    expect(await send('d', ndjson(documents))).toMatchObject({ added: 2, changed: 0, unchanged: 0, refused: [] });
    const before = (await miner.get('/api/collections/d')).body as { revision: number };
    expect(await send('d', ndjson(documents))).toMatchObject({ added: 0, changed: 0, unchanged: 2 });
    expect((await miner.get('/api/collections/d')).body).toMatchObject({ revision: before.revision, documents: 2 });
    const [first] = documents;
    const changed = ndjson([{ ...first, metadata: { year: 2, title: 'One' } }]);
    expect(await send('d', changed)).toMatchObject({ added: 0, changed: 1, unchanged: 0 });
    const found = await miner.post('/api/collections/d/search').send({ query: { term: { year: 2 } } });
    expect(found.body).toMatchObject({ hits: 1, documents: [{ ref: 'a' }] });
    expect((await miner.get('/api/collections/d')).body).toMatchObject({
      documents: 2,
      formats: ['meta', 'pdf', 'txt'],
    });
  });

  test('lines that cannot be kept are refused with their reason, and the rest goes on', async () => {
    const body = Buffer.concat([
      Buffer.from('{"ref":"good1"}\nnot json\n\n{"ref":"good1"}\n{"ref":"x","surprise":1}\n'),
      Buffer.from([0x7b, 0xff, 0xfe, 0x0a]),
      Buffer.from('{"ref":"nul","metadata":{"title":"a\\u0000b"}}\n'),
      Buffer.from('{"ref":"half","metadata":{"deep":["\\ud800"]}}\n'),
      Buffer.from('{"ref":"m","files":{"meta":{"text":"x"}}}\n{"ref":"b64","files":{"pdf":{"base64":"%%%"}}}\n'),
      Buffer.from('{"ref":"/etc"}\n{"ref":7}\n{"ref":"good2","files":{"txt":{"text":"nul \\u0000 in text"}}}'),
    ]);
    const report = await send('e', body);
    expect(report).toMatchObject({ added: 2 });
    expect(report.refused.map(({ line, ref }) => [line, ref])).toEqual([
      [2, null],
      [4, 'good1'],
      [5, 'x'],
      [6, null],
      [7, 'nul'],
      [8, 'half'],
      [9, 'm'],
      [10, 'b64'],
      [11, '/etc'],
      [12, null],
    ]);
    expect(report.refused[0]?.reason).toBe('the line is not JSON');
    expect(report.refused[3]?.reason).toBe('the line is not UTF-8');
  });

  test('a book that is too large for the index is kept whole and found by its beginning', async () => {
    const words = Array.from({ length: 200_000 }, (_, index) => `word${(index * 7919) % 999_983}`).join(' ');
    const report = await send(
      'e',
      ndjson([{ ref: 'book', files: { txt: { text: `beginning ${words}` } } }, { ref: 'next' }]),
    );
    expect(report).toMatchObject({ added: 2, refused: [], partly_indexed: [{ line: 1, ref: 'book' }] });
    const found = await miner.post('/api/collections/e/search').send({ query: 'beginning' });
    expect(found.body).toMatchObject({ hits: 1, documents: [{ ref: 'book' }] });
  });

  test('a collection is made once, by an admin only, and filled by an admin only', async () => {
    const twice = await admin.post('/api/collections').send({ id: 'c', name: 'again' }).expect(409);
    expect(twice.body).toMatchObject({ type: '/problems/collection-exists' });
    const refused = await miner.post('/api/collections').send({ id: 'mine', name: 'mine' }).expect(403);
    expect(refused.body).toMatchObject({ type: '/problems/role-not-allowed' });
    await miner
      .post('/api/collections/c/documents')
      .set('Content-Type', 'application/x-ndjson')
      .send('{"ref":"a"}\n')
      .expect(403);
    const packed = await admin
      .post('/api/collections/c/documents')
      .set({ 'Content-Type': 'application/x-ndjson', 'Content-Encoding': 'gzip' })
      .send(gzipSync('{"ref":"a"}\n'))
      .expect(415);
    expect(packed.body).toMatchObject({ type: '/problems/media-type-not-supported' });
    expect((await miner.get('/api/collections/c')).body).toMatchObject({ documents: 0 });
  });
}
