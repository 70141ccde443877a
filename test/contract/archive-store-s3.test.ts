import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect, createServer, type AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { StoreUnavailableError, type ArchiveStore } from '../../packager/archive-store/archive-store.js';
import { openS3ArchiveStore } from '../../packager/archive-store/s3-archive-store.js';
import { partSizes } from '../../packager/archive-store/parts.js';
import { clockAhead, describeOn, startRadosgw, startTcpProxy, type Radosgw, type TcpProxy } from '../servers/index.js';
import { archiveStoreSuite } from './archive-store-suite.js';

const MIB = 1024 * 1024;
const ZIP = { mediaType: 'application/zip' };

describeOn('radosgw', 'archives in S3', () => {
  let server: Radosgw;
  let bucket = '';

  const open = (endpoint = server.endpoint, credentials = keys(), options = {}): ArchiveStore =>
    openS3ArchiveStore({ bucket, endpoint, region: server.region, credentials }, options);
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

    test('the parts of an upload share a few connections', async () => {
      const store = open(`http://127.0.0.1:${proxy.port}`);
      const content = randomBytes(60 * MIB);
      const before = proxy.connections();
      await store.write('dumps/shared/1/a.zip', cut(content, MIB), { ...ZIP, size: content.length });
      expect(proxy.connections() - before).toBeLessThanOrEqual(4);
      expect((await whole(store, 'dumps/shared/1/a.zip')).equals(content)).toBe(true);
      await store.close();
    });

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

    test('an answer to the end of an upload that is lost costs nothing', async () => {
      const store = open(`http://127.0.0.1:${proxy.port}`);
      const content = randomBytes(12 * MIB);
      const before = proxy.answersCut();
      proxy.cutAnswerTo('<CompleteMultipartUpload');
      const written = await store.write('dumps/told/1/a.zip', cut(content, MIB), { ...ZIP, size: content.length });
      expect(proxy.answersCut() - before).toBe(1);
      expect(written.size).toBe(content.length);
      expect((await whole(store, 'dumps/told/1/a.zip')).equals(content)).toBe(true);
      expect(await store.listUnfinished('dumps/told/')).toEqual([]);
      await store.close();
    });

    test('a bit that changes on the way costs a retry and no byte, as the store refuses the part', async () => {
      const tampering = await startTamperingProxy(server.port, 12 * MIB);
      const store = open(`http://127.0.0.1:${tampering.port}`);
      const content = randomBytes(30 * MIB);
      const written = await store.write('dumps/bit/1/a.zip', cut(content, MIB), { ...ZIP, size: content.length });
      expect(tampering.changed()).toBe(1);
      expect(written).toMatchObject({ size: content.length, confirmed: true });
      expect((await whole(store, 'dumps/bit/1/a.zip')).equals(content)).toBe(true);
      await store.close();
      await tampering.close();
    });

    test('a part whose bytes change each time is given up, and nothing of the object is left', async () => {
      const tampering = await startTamperingProxy(server.port, 12 * MIB, Infinity);
      const store = open(`http://127.0.0.1:${tampering.port}`);
      const writing = store.write('dumps/bits/1/a.zip', cut(randomBytes(30 * MIB), MIB), ZIP);
      await expect(writing).rejects.toThrow(/XAmzContentSHA256Mismatch/);
      expect(tampering.changed()).toBeGreaterThan(3);
      await store.close();
      await tampering.close();
      const direct = open();
      expect(await direct.listUnfinished('dumps/bits/')).toEqual([]);
      expect(await direct.sizeOf('dumps/bits/1/a.zip')).toBeUndefined();
      await direct.close();
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

  test('a store that is away for some seconds costs no byte', async () => {
    const store = open();
    const content = randomBytes(20 * MIB);
    let back: Promise<void> | undefined;
    async function* source(): AsyncGenerator<Buffer> {
      yield content.subarray(0, 10 * MIB);
      await server.kill();
      back = sleep(3_000).then(() => server.restart());
      yield content.subarray(10 * MIB);
    }
    const { size } = await store.write('dumps/away/1/a.zip', source(), ZIP);
    await back;
    expect(size).toBe(content.length);
    expect(await store.sizeOf('dumps/away/1/a.zip')).toBe(content.length);
    await store.close();
  }, 120_000);

  test('a store that goes away in the middle of an upload is unavailable, and what it kept can be swept', async () => {
    const store = open(server.endpoint, keys(), { patience: 1_000 });
    async function* source(): AsyncGenerator<Buffer> {
      yield randomBytes(20 * MIB);
      await server.kill();
      yield randomBytes(20 * MIB);
    }
    await expect(store.write('dumps/gone/1/a.zip', source(), ZIP)).rejects.toThrow(StoreUnavailableError);
    await server.restart();
    expect(await store.listUnfinished('dumps/gone/')).toEqual(['dumps/gone/1/a.zip']);
    // Somebody may still be at work on what took a part a moment ago.
    expect(await store.sweepUnfinished('dumps/gone/', new Date(Date.now() - 60_000))).toBe(0);
    expect(await store.sweepUnfinished('dumps/gone/', new Date(Date.now() + 60_000))).toBe(1);
    expect(await store.listUnfinished('dumps/gone/')).toEqual([]);
    await store.close();
  }, 120_000);
});

describeOn(['radosgw', 'faketime'], 'archives in S3, for a packager whose clock is wrong', () => {
  const PROGRAM = fileURLToPath(new URL('./store-process.ts', import.meta.url));
  let server: Radosgw;
  beforeAll(async () => {
    server = await startRadosgw();
  }, 120_000);
  afterAll(() => server.close());

  // The SDK takes what a store answers to a wrong clock for a fault that passes.
  test.each([600, -600])(
    'by %s seconds: what is not there, or is refused, is not asked for again and again',
    async (seconds) => {
      const { endpoint, region, accessKeyId, secretAccessKey } = server;
      const config = {
        bucket: await server.createBucket(),
        endpoint,
        region,
        credentials: { accessKeyId, secretAccessKey },
      };
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ['--import', 'tsx', PROGRAM, JSON.stringify(config)],
        {
          env: { ...process.env, ...clockAhead(seconds) },
        },
      );
      const { ms, ...found } = JSON.parse(stdout) as { ms: number };
      expect(found).toEqual({
        isThere: false,
        wrote: [true, false],
        refused: expect.stringContaining('SignatureDoesNotMatch'),
      });
      expect(ms).toBeLessThan(5_000);
    },
    180_000,
  );
});

describe('the parts of an upload', () => {
  const lengths = [undefined, 0, 500 * MIB, 200 * 1024 * MIB, 5e12];

  test.each(lengths)('of %s bytes are 10,000 at most', (length) => {
    const sizeOf = partSizes(length);
    let total = 0;
    for (let number = 1; number <= 10_000; number++) total += sizeOf(number);
    expect(total).toBeGreaterThanOrEqual(length ?? 5e12);
  });

  test.each(lengths)('of %s bytes are none smaller than 5 MiB nor larger than 5 GiB, and of whole bytes', (length) => {
    for (const number of [1, 1000, 1001, 2001, 9001, 10_000]) {
      const size = partSizes(length)(number);
      expect(Number.isInteger(size)).toBe(true);
      expect(size).toBeGreaterThanOrEqual(5 * MIB);
      expect(size).toBeLessThanOrEqual(5 * 1024 * MIB);
    }
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- a source whose bytes are there already
async function* cut(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < content.length; start += size) yield content.subarray(start, start + size);
}

async function whole(store: ArchiveStore, key: string): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of await store.read(key)) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Changes one bit of what goes to the server, once so many bytes have passed, in as many requests as are said. */
async function startTamperingProxy(port: number, after: number, requests = 1) {
  let passed = 0;
  let changed = 0;
  const proxy = createServer((near) => {
    const far = connect({ port, host: '127.0.0.1' });
    let isUnchanged = true;
    near.on('data', (chunk) => {
      passed += chunk.length;
      // The next request comes when the one before was answered.
      if (chunk.subarray(0, 4).toString('latin1') === 'PUT ') isUnchanged = true;
      // In the middle of a long chunk there is nothing but the body of a part.
      const isDue = passed > after && changed < requests && chunk.length > 32 * 1024 && isUnchanged;
      if (isDue) {
        changed += 1;
        isUnchanged = false;
        chunk[chunk.length / 2 - (chunk.length % 2) / 2] = (chunk[Math.floor(chunk.length / 2)] ?? 0) ^ 1;
      }
      far.write(chunk);
    });
    far.pipe(near);
    for (const socket of [near, far]) {
      socket.on('error', () => undefined);
      socket.on('close', () => {
        near.destroy();
        far.destroy();
      });
    }
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  return {
    port: (proxy.address() as AddressInfo).port,
    changed: () => changed,
    close: () => new Promise((resolve) => proxy.close(resolve)),
  };
}
