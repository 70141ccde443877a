import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ContentUnavailableError, type ContentStore } from '../../api-server/documents/content-store/content-store.js';
import { openS3ContentStore } from '../../api-server/documents/content-store/s3-content-store.js';
import { describeOn, startRadosgw, startTcpProxy, waitUntil, type Radosgw } from '../servers/index.js';
import { contentStoreSuite, cut } from './content-store-suite.js';

const MIB = 1024 * 1024;

describeOn('radosgw', 'content in S3', () => {
  let server: Radosgw;
  let bucket = '';

  const keys = () => ({ accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey });
  const open = (change: { endpoint?: string; bucket?: string; secretAccessKey?: string } = {}): ContentStore => {
    const { endpoint = server.endpoint, bucket: name = bucket, ...secret } = change;
    return openS3ContentStore({ bucket: name, endpoint, region: server.region, credentials: { ...keys(), ...secret } });
  };

  beforeAll(async () => {
    server = await startRadosgw();
    bucket = await server.createBucket();
  }, 120_000);
  afterAll(() => server.close());

  contentStoreSuite(() => Promise.resolve(open()));

  test('names its bucket, and signs links that answer any range until their time is over', async () => {
    const store = open();
    await store.write('segments/c/signed', [Buffer.from('0123456789')]);
    expect(store.bucket).toBe(bucket);
    const url = (await store.sign('segments/c/signed', 60)) ?? '';
    expect(await (await fetch(url)).text()).toBe('0123456789');
    const part = await fetch(url, { headers: { Range: 'bytes=2-4' } });
    expect([part.status, await part.text()]).toEqual([206, '234']);
    const short = (await store.sign('segments/c/signed', 1)) ?? '';
    await waitUntil('the link has expired', async () => (await fetch(short)).status === 403);
    await store.close();
  });

  test('a wrong secret, or a bucket that is not there, is a store that cannot be used', async () => {
    for (const store of [open({ secretAccessKey: 'wrong' }), open({ bucket: 'no-such-bucket' })]) {
      await expect(store.write('segments/c/a', [Buffer.from('x')])).rejects.toThrow(ContentUnavailableError);
      await expect(store.read('segments/c/a', { start: 0, end: 1 })[Symbol.asyncIterator]().next()).rejects.toThrow(
        ContentUnavailableError,
      );
      await store.close();
    }
  });

  test('connections that are cut in the middle of a write cost a retry and no byte', async () => {
    const proxy = await startTcpProxy(server.port);
    const store = open({ endpoint: `http://127.0.0.1:${proxy.port}` });
    const content = randomBytes(64 * MIB);
    const writing = store.write('segments/c/cut', cut(content, MIB));
    setImmediate(() => proxy.cut());
    await writing;
    const pieces: Buffer[] = [];
    for await (const piece of store.read('segments/c/cut', { start: 0, end: content.length })) pieces.push(piece);
    expect(Buffer.concat(pieces).equals(content)).toBe(true);
    await store.close();
    await proxy.close();
  });

  test('a store that goes away is unavailable to writers and to readers', async () => {
    const store = open();
    await store.write('segments/c/kept', [randomBytes(20 * MIB)]);
    const reader = store.read('segments/c/kept', { start: 0, end: 20 * MIB })[Symbol.asyncIterator]();
    await reader.next();
    await server.kill();
    const rest = async () => {
      while ((await reader.next()).done !== true);
    };
    await expect(rest()).rejects.toThrow(ContentUnavailableError);
    await expect(store.write('segments/c/new', [Buffer.from('x')])).rejects.toThrow(ContentUnavailableError);
    await server.restart();
    await store.write('segments/c/new', [Buffer.from('x')]);
    await store.close();
  }, 120_000);
});
