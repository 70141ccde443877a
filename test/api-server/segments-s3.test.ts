/** Segments in a real S3 store. */
import { inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { describeOn, startRadosgw, type Radosgw } from '../servers/index.js';
import { PACKAGER_KEY, fill, ndjson, startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';

const TEXT = 'one fish, two fish, red fish, blue fish. '.repeat(1_000);

describeOn('radosgw', 'segments in S3', () => {
  let s3: Radosgw;
  let server: FreshApiServer;
  let bucket = '';
  beforeAll(async () => {
    s3 = await startRadosgw();
    bucket = await s3.createBucket();
    server = await startFreshApiServer(undefined, {
      S3_BUCKET: bucket,
      S3_ENDPOINT: s3.endpoint,
      AWS_REGION: s3.region,
      AWS_ACCESS_KEY_ID: s3.accessKeyId,
      AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    });
    await fill(server, 'c', [{ ref: 'a', files: { txt: { text: TEXT } } }]);
  }, 120_000);
  afterAll(async () => {
    await server.stop();
    await s3.close();
  });

  test('a packager learns the bucket and the key, and is sent to S3 with a link that asks for no key', async () => {
    const miner = server.as(await server.keyOf('Ada'));
    const packager = server.as(PACKAGER_KEY);
    const made = await miner.post('/api/docsets').send({ members: ['a'] });
    const { url } = made.body as { url: string };
    const listing = await packager.get(`/api${url}`).set('Accept', 'application/x-ndjson').expect(200);
    const [, first, member] = listing.text.split('\n').map((line) => JSON.parse(line || 'null') as unknown);
    const { segment } = first as { segment: { key: string; bucket: string; href: string } };
    const { files } = member as { files: { txt: { stored: { offset: number; length: number } } } };
    expect(segment).toMatchObject({ bucket, key: expect.stringMatching(/^segments\/c\//) });
    const { offset, length } = files.txt.stored;
    const moved = await packager.get(new URL(segment.href).pathname).redirects(0).expect(307);
    const link = moved.headers['location'] ?? '';
    expect(link).toContain(`/${bucket}/${segment.key}?`);
    const part = await fetch(link, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } });
    expect(part.status).toBe(206);
    expect(inflateRawSync(Buffer.from(await part.arrayBuffer())).toString()).toBe(TEXT);
    const text = await miner.get('/api/documents/1/text').expect(200);
    expect([text.headers['content-encoding'], text.text]).toEqual(['gzip', TEXT]);
  });

  test('while the store is away nothing is half written, and the same ingest goes on when it is back', async () => {
    const admin = server.as(await server.keyOf('Admin', 'admin'));
    const body = ndjson([{ ref: 'b', files: { txt: { text: TEXT } } }]);
    const send = () =>
      admin.post('/api/collections/c/documents').set('Content-Type', 'application/x-ndjson').send(body);
    await s3.kill();
    const refused = await send().expect(503);
    expect(refused.body).toMatchObject({ type: '/problems/storage-unavailable' });
    expect(refused.headers['retry-after']).toBe('5');
    const unread = await admin.get('/api/documents/1/text').expect(503);
    expect(unread.body).toMatchObject({ type: '/problems/storage-unavailable' });
    expect(await server.parts.knex('segments').whereNull('sealed')).toEqual([]);
    expect(await server.parts.knex('documents').where({ ref: 'b' })).toEqual([]);
    await s3.restart();
    expect((await send().expect(200)).body).toMatchObject({ added: 1 });
    expect((await admin.get('/api/documents/1/text').expect(200)).text).toBe(TEXT);
  }, 120_000);
});
