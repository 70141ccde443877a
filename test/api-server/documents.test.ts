import { createHash, randomBytes } from 'node:crypto';
import { open } from 'node:fs/promises';
import { request, type IncomingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PACKAGER_KEY, fill, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(documentsBehave);

const PDF = Buffer.from('%PDF-1.4 not really');
/** Deflates well. */
const LARGE = Buffer.alloc(9_000_001, 'abcdefghijk');
/** Deflates little, and to more than what is checked before the first byte is sent. */
const HUGE = Buffer.from(randomBytes(6_000_000).toString('base64'));
/** Needs no deflating, and is more than is checked before the first byte is sent. */
const NOISE = randomBytes(6_000_000);

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
      {
        ref: 'huge',
        files: {
          txt: { text: LARGE.toString() },
          bin: { base64: HUGE.toString('base64') },
          jpg: { base64: NOISE.toString('base64'), media_type: 'image/jpeg' },
          nil: { text: '' },
        },
      },
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
    const get = (headers: Record<string, string>, path = '/api/documents/1/text') =>
      miner.get(path).set({ 'Accept-Encoding': 'identity', ...headers });
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
    const head = (coding: string) =>
      miner.head('/api/documents/1/files/bin').set('Accept-Encoding', coding).expect(200);
    const { headers } = await head('identity');
    expect(headers).toMatchObject({ 'content-length': String(LARGE.length), 'accept-ranges': 'bytes' });
    const packed = await head('gzip');
    expect(packed.headers['content-encoding']).toBe('gzip');
    expect(Number(packed.headers['content-length'])).toBeLessThan(LARGE.length / 100);
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

  test('what is deflated goes out as gzip without being inflated, under an ETag of its own', async () => {
    const send = (path: string, headers: Record<string, string>) =>
      fetch(`${server.url}/api/documents/${path}`, { headers: { 'X-API-Key': PACKAGER_KEY, ...headers } });
    const identity = await send('3/files/bin', { 'Accept-Encoding': 'identity' });
    expect(identity.headers.get('content-encoding')).toBeNull();
    expect(identity.headers.get('vary')).toBe('Accept-Encoding');
    expect(HUGE.equals(Buffer.from(await identity.arrayBuffer()))).toBe(true);
    const raw = await bytesOf(server.url, '/api/documents/3/files/bin', { 'Accept-Encoding': 'gzip' });
    expect(raw.headers['content-length']).toBe(String(raw.body.length));
    expect(raw.headers['etag']).not.toBe(identity.headers.get('etag'));
    expect(HUGE.equals(gunzipSync(raw.body))).toBe(true);
    for (const path of ['3/files/bin', '3/files/txt', '3/files/jpg', '3/files/nil', '3/files/meta', '3/text']) {
      const packed = await send(path, { 'Accept-Encoding': 'gzip, br' });
      const plain = await send(path, { 'Accept-Encoding': 'gzip;q=0, identity' });
      expect([path, packed.status, plain.status]).toEqual([path, 200, 200]);
      expect(Buffer.from(await packed.arrayBuffer()).equals(Buffer.from(await plain.arrayBuffer()))).toBe(true);
    }
    expect((await send('3/files/jpg', { 'Accept-Encoding': 'gzip' })).headers.get('content-encoding')).toBeNull();
    expect((await send('3/text', {})).headers.get('vary')).toBe('Accept, Accept-Encoding');
    const known = { 'Accept-Encoding': 'gzip', 'If-None-Match': String(raw.headers['etag']) };
    expect((await send('3/files/bin', known)).status).toBe(304);
    expect((await send('3/files/bin', { ...known, 'Accept-Encoding': 'identity' })).status).toBe(200);
    // A range counts the bytes of the content.
    const part = await send('3/files/bin', { 'Accept-Encoding': 'gzip', Range: 'bytes=7000000-7000009' });
    expect([part.status, part.headers.get('content-encoding'), await part.text()]).toEqual([
      206,
      null,
      HUGE.toString('latin1', 7_000_000, 7_000_010),
    ]);
    expect((await send('3/files/nil', { Range: 'bytes=0-0' })).status).toBe(416);
  });

  test('a segment is for packagers, with ranges, and never changes', async () => {
    const packager = server.as(PACKAGER_KEY);
    const whole = await packager.get('/api/segments/1').buffer(true).expect(200);
    const { size } = await server.parts.knex('segments').where({ id: 1 }).first<{ size: string }>('size');
    expect([whole.headers['content-length'], (whole.body as Buffer).length]).toEqual([size, Number(size)]);
    const part = await packager.get('/api/segments/1').set('Range', 'bytes=10-19').buffer(true).expect(206);
    expect((part.body as Buffer).equals((whole.body as Buffer).subarray(10, 20))).toBe(true);
    await packager
      .get('/api/segments/1')
      .set('If-None-Match', whole.headers['etag'] ?? '')
      .expect(304);
    await packager.get('/api/segments/1').set('Range', `bytes=${size}-`).expect(416);
    const unknown = await packager.get('/api/segments/99').expect(404);
    expect(unknown.body).toMatchObject({ type: '/problems/segment-not-found' });
    await miner.get('/api/segments/1').expect(403);
  });

  test.each(['pdf', 'bin'])('a flipped bit in a %s that is not large is a 500, not an answer', async (format) => {
    await flipBit(server, { document_id: 1, format });
    for (const headers of [{ 'Accept-Encoding': 'gzip' }, { 'Accept-Encoding': 'identity' }, { Range: 'bytes=0-1' }]) {
      const response = await miner.get(`/api/documents/1/files/${format}`).set(headers).expect(500);
      expect(response.body).toMatchObject({ type: '/problems/internal-error' });
    }
    expect(server.logged()).toContain(`document 1, ${format}: the stored bytes are not those that were ingested`);
  });

  test.each(['bin', 'jpg'])('a flipped bit in a %s that is large ends its answer before its end', async (format) => {
    await flipBit(server, { document_id: 3, format });
    for (const headers of [
      { 'Accept-Encoding': 'gzip' },
      { 'Accept-Encoding': 'identity' },
      { Range: 'bytes=0-99999' },
    ]) {
      const given = { 'X-API-Key': PACKAGER_KEY, ...headers };
      const read = async () =>
        (await fetch(`${server.url}/api/documents/3/files/${format}`, { headers: given })).text();
      await expect(
        read().then((text) => (text.includes('internal-error') ? Promise.reject(new Error(text)) : text)),
      ).rejects.toThrow();
    }
  });

  test('bytes that are not there are a 500', async () => {
    await server.parts.knex('segments').where({ id: 1 }).update({ key: 'segments/c/none' });
    const response = await miner.get('/api/documents/2/files/meta').expect(500);
    expect(response.body).toMatchObject({ type: '/problems/internal-error' });
    expect(server.logged()).toContain('bytes are missing');
  });
}

/** The bytes of an answer as they came over the wire. */
function bytesOf(
  server: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ headers: IncomingHttpHeaders; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const sent = request(new URL(path, server), { headers: { 'X-API-Key': PACKAGER_KEY, ...headers }, agent: false });
    sent.on('error', reject);
    sent.on('response', (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () => resolve({ headers: response.headers, body: Buffer.concat(pieces) }));
    });
    sent.end();
  });
}

/** Flips one bit in the middle of what is stored of a file. */
async function flipBit(server: FreshApiServer, file: { document_id: number; format: string }): Promise<void> {
  const row = await server.parts
    .knex('files as f')
    .join('segments as s', 's.id', 'f.segment_id')
    .where(file)
    .first<{ key: string; offset: string; stored_length: string }>('s.key', 'f.offset', 'f.stored_length');
  const handle = await open(join(server.parts.config.dataDir, 'content', row.key), 'r+');
  const position = Number(row.offset) + Math.floor(Number(row.stored_length) / 2);
  const byte = Buffer.alloc(1);
  await handle.read(byte, 0, 1, position);
  byte[0] = (byte[0] ?? 0) ^ 4;
  await handle.write(byte, 0, 1, position);
  await handle.close();
}
