import { randomBytes } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { readFile, rm, truncate } from 'node:fs/promises';
import { PutObjectCommand, GetObjectCommand, type S3Client } from '@aws-sdk/client-s3';
import { getSignedUrl } from '@aws-sdk/s3-request-presigner';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { fetchDocuments, type FetchedDocument } from '../../../packager/source/documents.js';
import { contentOf } from '../../../packager/source/file-content.js';
import { joinRanges } from '../../../packager/source/join-ranges.js';
import { readListing } from '../../../packager/source/listing.js';
import { createReadShares } from '../../../packager/source/read-shares.js';
import { createSourceClient, type SourceResources } from '../../../packager/source/source-client.js';
import { describeOn, startRadosgw, startTcpProxy, waitUntil, type Radosgw } from '../../servers/index.js';
import { KEY, startDocsetServer, type DocsetServer, type TestDocument } from '../docset-server.js';
import { layInSegments, type TestSegments } from '../test-segments.js';
import { eachOf } from '../zip/entries.js';

const MIB = 1024 * 1024;
const FORMATS = ['meta', 'txt'];

const atEnd: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of atEnd.splice(0).reverse()) await end();
});

interface Source {
  documents: TestDocument[];
  segments: TestSegments;
  server: DocsetServer;
}

async function serve(documents: TestDocument[], options: Parameters<typeof layInSegments>[1] = {}): Promise<Source> {
  const segments = await layInSegments(documents, options);
  atEnd.push(() => segments.remove());
  const server = await startDocsetServer(documents, { segments });
  atEnd.push(() => server.close());
  return { documents, segments, server };
}

async function open({ server }: Source, resources: SourceResources = {}, apiUrl = server.url) {
  const { signal } = new AbortController();
  setMaxListeners(0, signal);
  const client = createSourceClient({
    apiUrl: new URL(apiUrl),
    packagerKey: KEY,
    dump: 'd',
    signal,
    retryPause: 1,
    resources,
  });
  const url = new URL(server.docsetUrl(FORMATS.join(',')).replace(server.url, apiUrl));
  const listing = await readListing(client, { url, formats: FORMATS, namesDump: true });
  const documents = (isReused = false) =>
    eachOf(fetchDocuments(client, listing, { formats: FORMATS, base: url, isReused }));
  return { listing, documents };
}

/** What came of each file, by ref and format: its content, or why there is none. */
async function outcomes(documents: AsyncIterable<FetchedDocument>): Promise<Map<string, Buffer | string>> {
  const found = new Map<string, Buffer | string>();
  for await (const { member, files } of documents) {
    for (const [index, file] of files.entries()) {
      const name = `${member.ref}/${FORMATS[index] ?? ''}`;
      if (file.type === 'omitted') {
        found.set(name, file.reason);
        continue;
      }
      const pieces: Buffer[] = [];
      for await (const piece of contentOf(file)) pieces.push(Buffer.from(piece));
      found.set(name, Buffer.concat(pieces));
    }
  }
  return found;
}

/** Everything as it was ingested, but for what is named. */
function expectAll(
  found: Map<string, Buffer | string>,
  { documents }: Source,
  except: Record<string, string> = {},
): void {
  const wanted = documents.flatMap(({ ref, files }) =>
    FORMATS.map((format) => [`${ref}/${format}`, files[format]] as const),
  );
  expect([...found.keys()]).toEqual(wanted.map(([name]) => name));
  for (const [name, file] of wanted) {
    const content = found.get(name);
    if (name in except) expect([name, content]).toEqual([name, except[name]]);
    else if (!Buffer.isBuffer(content) || !content.equals(Buffer.from(file?.content ?? ''))) {
      throw new Error(`${name} is not what it was: ${String(content).slice(0, 40)}`);
    }
  }
}

const nameOf = (index: number): string => `doc-${String(index).padStart(5, '0')}`;

/** Texts, every tenth of them of a kind that deflate makes no smaller. */
const texts = (count: number): TestDocument[] =>
  Array.from({ length: count }, (_, index) => ({
    ref: nameOf(index),
    files: {
      meta: { content: JSON.stringify({ index, title: nameOf(index) }) },
      txt: { content: index % 10 === 0 ? randomBytes(500) : `${nameOf(index)} `.repeat(1 + ((index * 7919) % 400)) },
    },
  }));

const largeTexts = (): TestDocument[] => [
  { ref: 'large', files: { meta: { content: '{}' }, txt: { content: randomBytes(11 * MIB + 7) } } },
  { ref: 'last', files: { meta: { content: '{}' }, txt: { content: 'the last' } } },
];

const requestsFor = ({ server }: Source, path: string): number =>
  server.requests.filter((request) => request.includes(path)).length;

describe('documents in segments', () => {
  test('are read from the files of this machine, and nothing but the listing is asked of the server', async () => {
    const source = await serve(texts(1500));
    const { listing, documents } = await open(source, { contentFolder: source.segments.folder });
    expect(listing).toMatchObject({ isStored: true, size: 1500 });
    expect(listing.storedBytes).toBe(source.segments.segments.reduce((sum, { size }) => sum + size, 0));
    expectAll(await outcomes(documents()), source);
    expect(source.server.requests).toHaveLength(1);
  });

  test('come over HTTP in few requests', async () => {
    const source = await serve(texts(1500));
    expectAll(await outcomes((await open(source)).documents()), source);
    expect(source.segments.segments.length).toBeGreaterThan(2);
    // One for each segment, and one more where a batch ends within one.
    expect(requestsFor(source, '/api/segments/')).toBeLessThan(source.segments.segments.length + 4);
    expect(requestsFor(source, '/files/')).toBe(0);
  });

  test('come from a server that answers more than was asked for', async () => {
    const source = await serve(texts(300));
    source.server.setFault((request) => {
      delete request.headers.range;
      return false;
    });
    expectAll(await outcomes((await open(source)).documents()), source);
  });

  test.each(['file', 'HTTP'])('are whole where their memory is used again and again, read by %s', async (way) => {
    const source = await serve([...texts(1000), ...largeTexts()]);
    const resources = { readShares: createReadShares(256 * 1024) };
    const files = { ...resources, contentFolder: source.segments.folder };
    const { documents } = await open(source, way === 'file' ? files : resources);
    expectAll(await outcomes(documents(true)), source);
  });

  test('keep their order among documents that are in none', async () => {
    const source = await serve(texts(200), { isStored: (ref) => Number(ref.slice(4)) % 3 !== 0 });
    const { listing, documents } = await open(source, { contentFolder: source.segments.folder });
    expect(listing.isStored).toBe(false);
    expectAll(await outcomes(documents()), source);
    expect(requestsFor(source, '/files/')).toBe(67 * 2);
  });

  test.each(['file', 'HTTP'])('one flipped bit costs one file, read by %s', async (way) => {
    const source = await serve(texts(300));
    await source.segments.flipBit(nameOf(150), 'txt');
    const { documents } = await open(source, way === 'file' ? { contentFolder: source.segments.folder } : {});
    expectAll(await outcomes(documents()), source, { [`${nameOf(150)}/txt`]: 'corrupt' });
  });

  test('a bit that was flipped on the way is read again', async () => {
    const source = await serve(texts(300));
    const bytes = await readFile(source.segments.pathOf('1'));
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    let reads = 0;
    source.server.setFault((_request, response, url) => {
      if (url.pathname !== '/api/segments/1' || ++reads !== 1) return false;
      response.writeHead(200).end(bytes);
      return true;
    });
    expectAll(await outcomes((await open(source)).documents()), source);
    expect(reads).toBeGreaterThan(1);
  });

  test('a segment that is gone costs the files in it, and no others', async () => {
    const source = await serve(texts(1500));
    await rm(source.segments.pathOf('1'));
    const found = await outcomes((await open(source, { contentFolder: source.segments.folder })).documents());
    const gone = [...found.keys()].filter((name) => {
      const [ref = '', format = ''] = name.split('/');
      return source.segments.rangeOf(ref, format)?.segment === '1';
    });
    expect(gone.length).toBeGreaterThan(10);
    expectAll(found, source, Object.fromEntries(gone.map((name) => [name, 'missing'])));
  });

  test('a segment that lost its end costs only what lay there', async () => {
    const source = await serve(texts(300), { segmentSize: MIB });
    const lost = source.segments.rangeOf(nameOf(299), 'txt');
    await truncate(source.segments.pathOf('1'), (lost?.offset ?? 0) + 1);
    const { documents } = await open(source, { contentFolder: source.segments.folder });
    expectAll(await outcomes(documents()), source, { [`${nameOf(299)}/txt`]: 'corrupt' });
  });

  test('a place that cannot be read costs the file that lies there', async () => {
    const source = await serve(texts(300));
    const bad = source.segments.rangeOf(nameOf(7), 'txt');
    source.server.setFault((request, response, url) => {
      const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
      if (bad === undefined || url.pathname !== '/api/segments/1') return false;
      if (Number(first) >= bad.offset + bad.length || Number(last) < bad.offset) return false;
      response.writeHead(500).end();
      return true;
    });
    expectAll(await outcomes((await open(source)).documents()), source, { [`${nameOf(7)}/txt`]: 'unreadable' });
  });

  test('connections that break in the middle of a segment cost no file', async () => {
    const source = await serve(texts(3000), { segmentSize: 4 * MIB });
    const proxy = await startTcpProxy(Number(new URL(source.server.url).port));
    atEnd.push(() => proxy.close());
    let cuts = 0;
    source.server.setFault((_request, response, url) => {
      if (!url.pathname.startsWith('/api/segments/') || cuts++ >= 2) return false;
      response.writeHead(206, { 'Content-Range': 'bytes 0-99999/200000', 'Content-Length': 100_000 });
      response.write(randomBytes(1000), () => proxy.cut());
      return true;
    });
    expectAll(await outcomes((await open(source, {}, `http://127.0.0.1:${proxy.port}`)).documents()), source);
    expect(cuts).toBeGreaterThan(2);
  });

  test('a key that leads out of the content folder is read over HTTP', async () => {
    const source = await serve(texts(20));
    for (const segment of source.segments.segments) Object.assign(segment, { key: `../${segment.key}` });
    const inside = `${source.segments.folder}/segments`;
    source.server.setFault(() => false);
    await open(source, { contentFolder: inside });
    const found = await outcomes((await open(source, { contentFolder: inside })).documents());
    expect(new Set(found.values())).toEqual(new Set(['missing']));
    expect(requestsFor(source, '/api/segments/')).toBeGreaterThan(0);
  });

  describe('too large to be held', () => {
    test('are handed over in pieces', async () => {
      const source = await serve([...texts(10), ...largeTexts()]);
      const { documents } = await open(source, { contentFolder: source.segments.folder });
      expectAll(await outcomes(documents()), source);
      for await (const { member, files } of documents()) {
        if (member.ref === 'large')
          expect(files[1]).toMatchObject({ type: 'stored', stored: 11 * MIB + 7, method: 'store' });
      }
    });

    test('are found corrupt before the first piece goes out', async () => {
      const source = await serve([...texts(10), ...largeTexts()]);
      await source.segments.flipBit('large', 'txt');
      const { documents } = await open(source, { contentFolder: source.segments.folder });
      expectAll(await outcomes(documents()), source, { 'large/txt': 'corrupt' });
    });

    test('throw where they change between the check and the reading', async () => {
      const source = await serve([...texts(10), ...largeTexts()]);
      const { documents } = await open(source, { contentFolder: source.segments.folder });
      const readOn = async (): Promise<void> => {
        for await (const { files } of documents()) {
          const [, txt] = files;
          if (txt?.type !== 'stored' || Buffer.isBuffer(txt.data)) continue;
          await source.segments.flipBit('large', 'txt');
          for await (const piece of contentOf(txt)) expect(piece.length).toBeGreaterThan(0);
        }
      };
      await expect(readOn()).rejects.toThrow('a file changed while it was read');
    });
  });

  test('a job that nobody reads on keeps no other job waiting', async () => {
    const source = await serve(texts(2000));
    const readShares = createReadShares(256 * 1024);
    const resources = { contentFolder: source.segments.folder, readShares };
    const held = (await open(source, resources)).documents();
    await held.next();
    expectAll(await outcomes((await open(source, resources)).documents()), source);
    await held.return(undefined);
  });
});

describeOn('radosgw', 'documents in segments that lie in S3', () => {
  let store: Radosgw;
  let client: S3Client;
  let bucket = '';
  beforeAll(async () => {
    store = await startRadosgw();
    client = store.client();
    bucket = await store.createBucket();
  }, 120_000);
  afterAll(async () => {
    client.destroy();
    await store.close();
  });

  test('are read from links, each asked for once, and again when it has run out', async () => {
    const source = await serve(texts(3000), { segmentSize: 256 * 1024 });
    for (const { id, key } of source.segments.segments) {
      await client.send(
        new PutObjectCommand({ Bucket: bucket, Key: key, Body: await readFile(source.segments.pathOf(id)) }),
      );
    }
    const links: { id: string; link: string }[] = [];
    let expiresIn = 5;
    source.server.setFault(async (_request, response, url) => {
      const [, id] = /^\/api\/segments\/(\d+)$/.exec(url.pathname) ?? [];
      const segment = source.segments.segments.find((each) => each.id === id);
      if (id === undefined || segment === undefined) return false;
      const link = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: segment.key }), {
        expiresIn,
      });
      links.push({ id, link });
      response.writeHead(307, { Location: link }).end();
      return true;
    });
    // So little memory that a segment takes several reads, one after the other.
    const { documents } = await open(source, { readShares: createReadShares(64 * 1024) });
    const seen: FetchedDocument[] = [];
    for await (const document of documents()) {
      if (seen.push(document) === 100) {
        expiresIn = 600;
        const expired = async () => (await fetch(links.at(-1)?.link ?? '')).status === 403;
        await waitUntil('the link has run out', expired);
      }
    }
    expectAll(await outcomes(each(seen)), source);
    const asked = source.segments.segments.map(({ id }) => links.filter((link) => link.id === id).length);
    // Those in use when the links ran out were asked for a second time.
    expect(Math.max(...asked)).toBe(2);
    expect(links.length).toBeLessThan(source.segments.segments.length * 2);
    expect(source.server.requests.filter((request) => request.includes('/api/segments/'))).toHaveLength(links.length);
  });

  test('whose link is refused for good are unreadable', async () => {
    const source = await serve(texts(5));
    source.server.setFault(async (_request, response, url) => {
      if (!url.pathname.startsWith('/api/segments/')) return false;
      const stranger = await getSignedUrl(client, new GetObjectCommand({ Bucket: bucket, Key: 'x' }), {
        expiresIn: 60,
      });
      response.writeHead(307, { Location: stranger.replace(/Signature=\w{8}/, 'Signature=00000000') }).end();
      return true;
    });
    const found = await outcomes((await open(source)).documents());
    expect(new Set(found.values())).toEqual(new Set(['unreadable']));
  });
});

// eslint-disable-next-line @typescript-eslint/require-await -- documents that are there already
async function* each(documents: FetchedDocument[]): AsyncGenerator<FetchedDocument> {
  yield* documents;
}

test('joined reads hold every range whole, read no more than the limits say, and never a range twice', () => {
  const segments = ['1', '2', '3'].map((id) => ({ id, href: id, key: id, size: 2 ** 40, bucket: undefined }));
  const range = fc.record({
    segment: fc.constantFrom(...segments),
    offset: fc.nat(100_000),
    length: fc.nat(3000),
    method: fc.constant('store' as const),
    crc32: fc.constant(0),
    sha256: fc.constant(''),
  });
  const limits = fc.record({ gap: fc.nat(5000), longest: fc.integer({ min: 1, max: 20_000 }) });
  fc.assert(
    fc.property(fc.array(range), limits, (ranges, { gap, longest }) => {
      const reads = joinRanges(ranges, { gap, longest });
      expect(reads.flatMap((read) => read.ranges).sort((a, b) => a - b)).toEqual([...ranges.keys()]);
      for (const read of reads) {
        const inside = read.ranges.map((index) => ranges[index]).filter((each) => each !== undefined);
        expect(inside.every(({ segment }) => segment.id === read.segment.id)).toBe(true);
        expect(Math.min(...inside.map(({ offset }) => offset))).toBe(read.offset);
        expect(Math.max(...inside.map(({ offset, length }) => offset + length))).toBe(read.offset + read.length);
        expect(read.length <= longest || inside.some(({ length }) => length === read.length)).toBe(true);
      }
    }),
  );
});
