/** What every archive store has to do; run on a folder and on real S3 servers. */
import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { ObjectMissingError, type ArchiveStore } from '../../packager/archive-store/archive-store.js';

const MIB = 1024 * 1024;
const ZIP = { mediaType: 'application/zip' };

/** Call inside a `describe`; `open` is called once, before the tests. */
export function archiveStoreSuite(open: () => Promise<ArchiveStore>): void {
  let store: ArchiveStore;
  let dump = '';
  let count = 0;
  const run = randomBytes(4).toString('hex');

  beforeAll(async () => {
    store = await open();
  });
  afterAll(() => store.close());
  beforeEach(() => {
    dump = `dumps/${run}-${count++}/`;
  });

  const keys = async (prefix = dump): Promise<string[]> => {
    const found: string[] = [];
    for await (const { key } of store.list(prefix)) found.push(key);
    return found;
  };
  const whole = async (key: string, range?: { start: number; end: number }): Promise<Buffer> => {
    const pieces: Buffer[] = [];
    for await (const piece of await store.read(key, range)) pieces.push(piece as Buffer);
    return Buffer.concat(pieces);
  };
  const expectNothingLeft = async (): Promise<void> => {
    expect(await keys()).toEqual([]);
    expect(await store.listUnfinished(dump)).toEqual([]);
  };

  describe('write', () => {
    test.each([0, 1, 100_000, 5 * MIB, 5 * MIB + 1, 8 * MIB, 8 * MIB + 1, 21 * MIB])(
      'stores %d bytes as they came, and measures them',
      async (size) => {
        const content = randomBytes(size);
        const written = await store.write(`${dump}1/a.zip`, piecesOf(content, 300_001), ZIP);
        expect(written).toMatchObject({ size, sha256: createHash('sha256').update(content).digest('hex') });
        expect(await store.sizeOf(`${dump}1/a.zip`)).toBe(size);
        expect((await whole(`${dump}1/a.zip`)).equals(content)).toBe(true);
        expect(await store.listUnfinished(dump)).toEqual([]);
      },
    );

    test.each([0, 3, 12 * MIB])('takes more than the %d bytes that were announced', async (size) => {
      const content = randomBytes(20 * MIB);
      const written = await store.write(`${dump}1/a.zip`, piecesOf(content, MIB), { ...ZIP, size });
      expect(written).toMatchObject({ size: content.length });
      expect((await whole(`${dump}1/a.zip`)).equals(content)).toBe(true);
    });

    test.each([0, 1, 8 * MIB, 21 * MIB])(
      'stores %d bytes that a source writes into memory of the store',
      async (size) => {
        const content = randomBytes(size);
        async function* source(nextMemory: () => Buffer): AsyncGenerator<Buffer> {
          let at = 0;
          do {
            const memory = nextMemory();
            const copied = content.copy(memory, 0, at);
            at += copied;
            yield memory.subarray(0, copied);
            await Promise.resolve();
          } while (at < size);
        }
        const written = await store.write(`${dump}1/a.zip`, source, ZIP);
        expect(written).toMatchObject({ size, sha256: createHash('sha256').update(content).digest('hex') });
        expect((await whole(`${dump}1/a.zip`)).equals(content)).toBe(true);
      },
    );

    test('shows nothing of an object before it is whole', async () => {
      const seen: unknown[] = [];
      async function* source(): AsyncGenerator<Buffer> {
        yield randomBytes(9 * MIB);
        seen.push(await store.sizeOf(`${dump}1/a.zip`), await store.get(`${dump}1/a.zip`), await keys());
        yield randomBytes(9 * MIB);
      }
      await store.write(`${dump}1/a.zip`, source(), ZIP);
      expect(seen).toEqual([undefined, undefined, []]);
      expect(await keys()).toEqual([`${dump}1/a.zip`]);
    });

    test('tells how many bytes the store has taken', async () => {
      let taken = 0;
      const content = randomBytes(20 * MIB);
      await store.write(`${dump}1/a.zip`, piecesOf(content, MIB), { ...ZIP, onBytes: (bytes) => (taken += bytes) });
      expect(taken).toBe(content.length);
    });

    test.each([10_000, 30 * MIB])(
      'a source that breaks off after %d bytes rejects with its own error and leaves nothing',
      async (size) => {
        const broken = new Error('the source broke');
        async function* source(): AsyncGenerator<Buffer> {
          yield* piecesOf(randomBytes(size), MIB);
          throw broken;
        }
        await expect(store.write(`${dump}1/a.zip`, source(), ZIP)).rejects.toBe(broken);
        await expectNothingLeft();
      },
    );

    test.each([0, 3, 25])('an abort after %d MiB rejects with its reason and leaves nothing', async (after) => {
      const aborting = new AbortController();
      const reason = new Error('no longer wanted');
      async function* source(): AsyncGenerator<Buffer> {
        for (let sent = 0; sent < 40; sent++) {
          if (sent === after) aborting.abort(reason);
          yield randomBytes(MIB);
          await new Promise(setImmediate);
        }
      }
      await expect(store.write(`${dump}1/a.zip`, source(), { ...ZIP, signal: aborting.signal })).rejects.toBe(reason);
      await expectNothingLeft();
    });

    test('a write that is aborted before it starts leaves nothing', async () => {
      const signal = AbortSignal.abort(new Error('too late'));
      await expect(store.write(`${dump}1/a.zip`, piecesOf(randomBytes(10), 10), { ...ZIP, signal })).rejects.toThrow(
        'too late',
      );
      await expectNothingLeft();
    });
  });

  describe('read', () => {
    test('answers a range, both ends included', async () => {
      await store.write(`${dump}1/a.zip`, piecesOf(Buffer.from('0123456789'), 3), ZIP);
      expect((await whole(`${dump}1/a.zip`, { start: 2, end: 5 })).toString()).toBe('2345');
      expect((await whole(`${dump}1/a.zip`, { start: 9, end: 9 })).toString()).toBe('9');
    });

    test('says that there is no such object', async () => {
      await expect(store.read(`${dump}1/none.zip`)).rejects.toThrow(ObjectMissingError);
      expect(await store.get(`${dump}1/none.json`)).toBeUndefined();
      expect(await store.sizeOf(`${dump}1/none.json`)).toBeUndefined();
    });
  });

  describe('put if absent', () => {
    test('the first writer wins, and its object stays', async () => {
      const key = `${dump}1/manifest.json`;
      expect(await store.putIfAbsent(key, Buffer.from('first'), 'application/json')).toBe(true);
      expect(await store.putIfAbsent(key, Buffer.from('second'), 'application/json')).toBe(false);
      expect((await store.get(key))?.toString()).toBe('first');
      expect(await store.listUnfinished(dump)).toEqual([]);
    });

    test('of ten writers at once one wins', async () => {
      const key = `${dump}1/manifest.json`;
      const won = await Promise.all(
        Array.from({ length: 10 }, (_, writer) =>
          store.putIfAbsent(key, Buffer.from(`writer ${writer}`), 'text/plain'),
        ),
      );
      expect(won.filter(Boolean)).toHaveLength(1);
      expect((await store.get(key))?.toString()).toBe(`writer ${won.indexOf(true)}`);
    });
  });

  describe('list and delete', () => {
    test('lists what is under a prefix in the order of the keys, and nothing else', async () => {
      for (const name of ['2/b', '1/manifest.json', '1/a.zip', '10/a'])
        await store.putIfAbsent(`${dump}${name}`, Buffer.from(name), 'text/plain');
      await store.putIfAbsent(`${dump.slice(0, -1)}9/other`, Buffer.from('x'), 'text/plain');
      expect(await keys()).toEqual(['1/a.zip', '1/manifest.json', '10/a', '2/b'].map((name) => `${dump}${name}`));
      expect(await keys(`${dump}1/`)).toEqual([`${dump}1/a.zip`, `${dump}1/manifest.json`]);
      expect(await keys(`${dump}3/`)).toEqual([]);
    });

    test('deletes an object, and is content where there is none', async () => {
      await store.putIfAbsent(`${dump}1/a`, Buffer.from('a'), 'text/plain');
      await store.delete(`${dump}1/a`);
      await store.delete(`${dump}1/a`);
      await expectNothingLeft();
    });

    test('deletes everything under a prefix and leaves its neighbours', async () => {
      const neighbour = `${dump.slice(0, -1)}x/a`;
      await store.putIfAbsent(neighbour, Buffer.from('a'), 'text/plain');
      for (const name of ['1/a', '2/a', '2/b'])
        await store.putIfAbsent(`${dump}${name}`, Buffer.from('a'), 'text/plain');
      expect(await store.deleteAll(dump)).toBe(3);
      await expectNothingLeft();
      expect(await store.deleteAll(dump)).toBe(0);
      expect(await store.sizeOf(neighbour)).toBe(1);
    });

    test('clears away a write that is under way, which then fails', async () => {
      const { source, isHeld, goOn } = heldSource();
      const writing = store.write(`${dump}1/a.zip`, source, ZIP);
      const outcome = writing.then(
        () => 'written',
        () => 'failed',
      );
      await isHeld;
      expect(await store.listUnfinished(dump)).toEqual([`${dump}1/a.zip`]);
      expect(await store.sweepUnfinished(`${dump}2/`)).toBe(0);
      expect(await store.sweepUnfinished(`${dump}1/`, new Date(Date.now() - 60_000))).toBe(0);
      expect(await store.sweepUnfinished(`${dump}1/`)).toBe(1);
      expect(await store.listUnfinished(dump)).toEqual([]);
      goOn();
      expect(await outcome).toBe('failed');
      await expectNothingLeft();
    });

    test('deleting everything takes writes under way along', async () => {
      const { source, isHeld, goOn } = heldSource();
      const outcome = store.write(`${dump}1/a.zip`, source, ZIP).then(
        () => 'written',
        () => 'failed',
      );
      await isHeld;
      await store.deleteAll(dump);
      goOn();
      expect(await outcome).toBe('failed');
      await expectNothingLeft();
    });
  });

  test.each(['../x', 'a//b', '/a', 'a/./b', 'a/../b', '.hidden', 'a b', 'a\\b', ''])(
    'refuses the key %j',
    async (key) => {
      expect(() => store.urlOf(key)).toThrow(RangeError);
      await expect(async () => store.sizeOf(key)).rejects.toThrow(RangeError);
      await expect(async () => store.delete(key)).rejects.toThrow(RangeError);
    },
  );

  test('can be used', () => store.check());

  test('names an object by a URL', () => {
    expect(new URL(store.urlOf(`${dump}1/a.zip`)).pathname).toMatch(new RegExp(`/${dump}1/a\\.zip$`));
  });
}

/** A source that gives 20 MiB, then waits until it may go on. */
function heldSource() {
  let goOn: () => void = () => undefined;
  let hold: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (goOn = resolve));
  const isHeld = new Promise<void>((resolve) => (hold = resolve));
  async function* source(): AsyncGenerator<Buffer> {
    yield randomBytes(20 * MIB);
    hold();
    await released;
    yield randomBytes(20 * MIB);
  }
  return { source: source(), isHeld, goOn };
}

// eslint-disable-next-line @typescript-eslint/require-await -- a source whose bytes are there already
async function* piecesOf(content: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let start = 0; start < content.length; start += size) yield content.subarray(start, start + size);
}
