import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PACKAGER_KEY, fill, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(documentsBehave);

const PDF = Buffer.from('%PDF-1.4 not really');
/** Larger than what is read from the database at a time. */
const LARGE = Buffer.alloc(9_000_001, 'abcdefghijk');

function documentsBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let miner: Client;
  beforeAll(async () => {
    server = await start();
    miner = server.as(await server.keyOf('Ada'));
    await fill(server, 'c', [
      {
        ref: 'one',
        metadata: { title: 'One', creator: ['A', 'B'], date: '1900', abstract: 'In short', 'z/~': 1, a: [true] },
        files: {
          txt: { text: '0123456789' },
          pdf: { base64: PDF.toString('base64') },
          bin: { base64: LARGE.toString('base64') },
        },
      },
      { ref: 'bare' },
    ]);
  });
  afterAll(() => server.stop());

  test('a document has its metadata where clients of the first Adit look, and says what formats there are', async () => {
    const response = await miner.get('/api/documents/1').expect(200);
    expect(response.body).toMatchObject({
      ref: 'one',
      title: 'One',
      creator: 'A; B',
      abstract: 'In short',
      metadata: { a: [true] },
    });
    const { formats } = response.body as { formats: { format: string; size: number }[] };
    expect(formats.map(({ format }) => format)).toEqual(['bin', 'meta', 'pdf', 'txt']);
    expect(formats.find(({ format }) => format === 'bin')?.size).toBe(LARGE.length);
    expect((await miner.get('/api/documents/99').expect(404)).body).toMatchObject({
      type: '/problems/document-not-found',
    });
  });

  test('the text is given in the form that Accept names', async () => {
    expect((await miner.get('/api/documents/1/text').expect(200)).text).toBe('0123456789');
    const pdf = await miner.get('/api/documents/1/text').set('Accept', 'application/pdf').buffer(true).expect(200);
    expect(pdf.headers['content-type']).toBe('application/pdf');
    expect(pdf.body).toEqual(PDF);
    const refused = await miner.get('/api/documents/1/text').set('Accept', 'image/png').expect(406);
    expect(refused.body).toMatchObject({
      type: '/problems/not-acceptable',
      available: ['text/plain', 'application/pdf', 'application/octet-stream'],
    });
    const bare = await miner.get('/api/documents/2/text').expect(404);
    expect(bare.body).toMatchObject({ type: '/problems/file-not-found' });
  });

  test('ranges and conditions work on files of any size', async () => {
    const get = (headers: Record<string, string>, path = '/api/documents/1/text') => miner.get(path).set(headers);
    const whole = await get({}).expect(200);
    const etag = whole.headers['etag'] ?? '';
    expect(etag).toBe(`"${createHash('sha256').update('0123456789').digest('hex')}"`);
    expect((await get({ Range: 'bytes=2-4' }).expect(206)).text).toBe('234');
    expect((await get({ Range: 'bytes=2-4' })).headers['content-range']).toBe('bytes 2-4/10');
    expect((await get({ Range: 'bytes=7-' }).expect(206)).text).toBe('789');
    expect((await get({ Range: 'bytes=-3' }).expect(206)).text).toBe('789');
    expect((await get({ Range: 'bytes=8-100' }).expect(206)).text).toBe('89');
    expect((await get({ Range: 'bytes=2-4', 'If-Range': etag }).expect(206)).text).toBe('234');
    expect((await get({ Range: 'bytes=2-4', 'If-Range': '"another"' }).expect(200)).text).toBe('0123456789');
    for (const range of ['bytes=4-2', 'bytes=-', 'lines=1-2', 'bytes=0-1,3-4']) await get({ Range: range }).expect(200);
    for (const range of ['bytes=10-', 'bytes=-0']) {
      const outside = await get({ Range: range }).expect(416);
      expect(outside.body).toMatchObject({ type: '/problems/range-not-satisfiable' });
      expect(outside.headers['content-range']).toBe('bytes */10');
    }
    await get({ 'If-None-Match': `"x", W/${etag}` }).expect(304);
    await get({ 'If-None-Match': '"x"' }).expect(200);

    const large = await get({}, '/api/documents/1/files/bin').buffer(true).expect(200);
    expect(large.headers['content-length']).toBe(String(LARGE.length));
    expect(LARGE.equals(large.body as Buffer)).toBe(true);
    const part = await get({ Range: 'bytes=4194300-8388700' }, '/api/documents/1/files/bin').buffer(true).expect(206);
    expect(LARGE.subarray(4194300, 8388701).equals(part.body as Buffer)).toBe(true);
  });

  test('HEAD tells what GET would, without the body', async () => {
    const head = await miner.head('/api/documents/1/files/bin').expect(200);
    expect(head.headers).toMatchObject({ 'content-length': String(LARGE.length), 'accept-ranges': 'bytes' });
    expect((await miner.head('/api/documents/1').expect(200)).text).toBeUndefined();
    await miner.head('/api/documents/99').expect(404);
  });

  test('meta is JSON-LD with the same bytes each time, for packagers as well', async () => {
    const packager = server.as(PACKAGER_KEY);
    const one = await packager.get('/api/documents/1/files/meta').expect(200);
    expect(one.headers['content-type']).toBe('application/ld+json');
    expect(one.body).toEqual({
      '@context': 'https://schema.org',
      '@type': 'CreativeWork',
      identifier: 'one',
      name: 'One',
      creator: [
        { '@type': 'Person', name: 'A' },
        { '@type': 'Person', name: 'B' },
      ],
      datePublished: '1900',
      abstract: 'In short',
      additionalProperty: [
        { '@type': 'PropertyValue', name: 'a', value: [true] },
        { '@type': 'PropertyValue', name: 'z/~', value: 1 },
      ],
    });
    const again = await packager.get('/api/documents/1/files/meta');
    expect([again.text, again.headers['etag']]).toEqual([one.text, one.headers['etag']]);
    await packager.get('/api/documents/1/files/html').expect(404);
  });

  test('bytes that cannot be read are a 500, not half an answer', async () => {
    await server.parts.knex('files').where({ document_id: 1, format: 'pdf' }).update({ size: 1000 });
    const response = await miner.get('/api/documents/1/files/pdf').expect(500);
    expect(response.body).toMatchObject({ type: '/problems/internal-error' });
    expect(server.logged()).toContain('bytes are missing');
  });
}
