import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StoreUnavailableError, type ArchiveStore } from '../../packager/archive-store/archive-store.js';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';
import { partSize } from '../../packager/archive-store/multipart-upload.js';
import { describeOn, startRadosgw, startTcpProxy, type Radosgw, type TcpProxy } from '../servers/index.js';
import { archiveStoreSuite } from './archive-store-suite.js';

const MIB = 1024 * 1024;
const ZIP = { mediaType: 'application/zip' };

describeOn('radosgw', 'archives in S3', () => {
  let server: Radosgw;
  let bucket = '';

  const open = (endpoint = server.endpoint, credentials = keys()): ArchiveStore =>
    openS3ArchiveStore({ bucket, endpoint, region: server.region, credentials });
  const keys = () => ({ accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey });

  beforeAll(async () => {
    server = await startRadosgw();
    bucket = await server.createBucket();
  }, 120_000);
  afterAll(() => server.close());

  archiveStoreSuite(() => Promise.resolve(open()));

  test('a wrong secret is a store that cannot be used, and says so', async () => {
    const store = open(server.endpoint, { ...keys(), secretAccessKey: 'wrong' });
    await expect(store.check()).rejects.toThrow(StoreUnavailableError);
    await expect(store.putIfAbsent('dumps/d/1/a', Buffer.from('a'), 'text/plain')).rejects.toThrow(
      /SignatureDoesNotMatch/,
    );
    await store.close();
  });

  test('a bucket that is not there is an unusable store, not a missing object', async () => {
    const store = openS3ArchiveStore({
      bucket: 'no-such-bucket',
      endpoint: server.endpoint,
      region: server.region,
      credentials: keys(),
    });
    await expect(store.get('dumps/d/1/manifest.json')).rejects.toThrow(StoreUnavailableError);
    await store.close();
  });

  describe('behind a network that fails', () => {
    let proxy: TcpProxy;
    beforeAll(async () => {
      proxy = await startTcpProxy(server.port);
    });
    afterAll(() => proxy.close());

    test('connections cut in the middle of an upload cost a retry and no byte', async () => {
      const store = open(`http://127.0.0.1:${proxy.port}`);
      const content = randomBytes(30 * MIB);
      async function* source(): AsyncGenerator<Buffer> {
        for (let start = 0; start < content.length; start += MIB) {
          yield content.subarray(start, start + MIB);
          if (start === 20 * MIB) proxy.cut();
          await new Promise(setImmediate);
        }
      }
      await store.write('dumps/cut/1/a.zip', source(), ZIP);
      const pieces: Buffer[] = [];
      for await (const piece of await store.read('dumps/cut/1/a.zip')) pieces.push(piece as Buffer);
      expect(Buffer.concat(pieces).equals(content)).toBe(true);
      expect(await store.listUnfinished('dumps/cut/')).toEqual([]);
      await store.close();
    });

    test('an upload that hangs is ended by its signal, and nothing of it is left', async () => {
      const store = open(`http://127.0.0.1:${proxy.port}`);
      const aborting = new AbortController();
      const stalled = new Error('stalled');
      async function* source(): AsyncGenerator<Buffer> {
        yield randomBytes(17 * MIB);
        proxy.stall();
        await Promise.resolve();
        setImmediate(() => {
          aborting.abort(stalled);
          // The network is back when the upload is to be cleared away.
          proxy.resume();
        });
        yield randomBytes(40 * MIB);
      }
      await expect(store.write('dumps/hang/1/a.zip', source(), { ...ZIP, signal: aborting.signal })).rejects.toBe(
        stalled,
      );
      expect(await store.listUnfinished('dumps/hang/')).toEqual([]);
      expect(await store.sizeOf('dumps/hang/1/a.zip')).toBeUndefined();
      await store.close();
    });
  });

  test('a store that goes away in the middle of an upload is unavailable, and what it kept can be swept', async () => {
    const store = open();
    async function* source(): AsyncGenerator<Buffer> {
      yield randomBytes(20 * MIB);
      await server.kill();
      yield randomBytes(20 * MIB);
    }
    await expect(store.write('dumps/gone/1/a.zip', source(), ZIP)).rejects.toThrow(StoreUnavailableError);
    await server.restart();
    expect(await store.listUnfinished('dumps/gone/')).toEqual(['dumps/gone/1/a.zip']);
    expect(await store.sweepUnfinished('dumps/gone/')).toBe(1);
    expect(await store.listUnfinished('dumps/gone/')).toEqual([]);
    await store.close();
  }, 120_000);
});

describe('the parts of an upload', () => {
  const total = Array.from({ length: 10_000 }, (_, index) => partSize(index + 1)).reduce((sum, size) => sum + size, 0);

  test('10,000 of them hold 5 TB', () => {
    expect(total).toBeGreaterThanOrEqual(5e12);
  });

  test('are none smaller than 5 MiB nor larger than 5 GiB, and of whole bytes', () => {
    for (const number of [1, 1000, 1001, 2001, 9001, 10_000]) {
      expect(Number.isInteger(partSize(number))).toBe(true);
      expect(partSize(number)).toBeGreaterThanOrEqual(8 * MIB);
      expect(partSize(number)).toBeLessThanOrEqual(5 * 1024 * MIB);
    }
  });
});
