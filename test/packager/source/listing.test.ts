import { afterEach, describe, expect, test } from '@jest/globals';
import { JobFailedError } from '../../../packager/job/job-failure.js';
import { createByteBudget } from '../../../packager/source/byte-budget.js';
import { readListing } from '../../../packager/source/listing.js';
import { readLines } from '../../../packager/source/lines.js';
import type { Member } from '../../../packager/source/members.js';
import { createSourceClient } from '../../../packager/source/source-client.js';
import { KEY, startDocsetServer, type DocsetServer, type TestDocument } from '../docset-server.js';
import { eachOf } from '../zip/entries.js';

let server: DocsetServer;
afterEach(() => server.close());

const open = (bytes?: (count: number) => void) =>
  readListing(
    createSourceClient({
      apiUrl: new URL(server.url),
      packagerKey: KEY,
      signal: new AbortController().signal,
      retryPause: 1,
      onBytes: bytes,
    }),
    { url: new URL(server.docsetUrl('txt')), formats: ['txt'], namesDump: true },
  );

const documents = (count: number, title = ''): TestDocument[] =>
  Array.from({ length: count }, (_, index) => ({
    ref: `doc-${String(index).padStart(5, '0')}`,
    title,
    files: { txt: { content: 'text' } },
  }));

const RANGE = { segment: '7', offset: 5, length: 10, method: 'deflate', crc32: '00ff00ff', sha256: 'b'.repeat(64) };

function memberIn(segment: string, changes: object = {}): string {
  const stored = { ...RANGE, segment, ...changes };
  const txt = {
    href: 'http://server/api/documents/1/files/txt',
    media_type: 'text/plain',
    size: 20,
    sha256: 'a'.repeat(64),
  };
  return JSON.stringify({ ref: 'a', title: 'Zwölf', creator: null, files: { txt: { ...txt, stored } } });
}

function segmentLine(changes: object = {}): string {
  return JSON.stringify({
    segment: { id: '7', href: 'http://server/api/segments/7', size: 100, key: 'segments/sotu/x', ...changes },
  });
}

async function refs(members: AsyncIterable<Member>): Promise<string[]> {
  const found: string[] = [];
  for await (const { ref } of members) found.push(ref);
  return found;
}

describe('a listing', () => {
  test('that is short is read once', async () => {
    server = await startDocsetServer(documents(1000));
    const listing = await open();
    expect(listing).toMatchObject({ size: 1000, bytes: 4000 });
    expect(await refs(eachOf(listing.members()))).toEqual(documents(1000).map(({ ref }) => ref));
    expect(await refs(eachOf(listing.members()))).toHaveLength(1000);
    expect(server.requests).toHaveLength(1);
  });

  test('that is long is read again each time, rather than kept', async () => {
    server = await startDocsetServer(documents(15_000, 'x'.repeat(2000)));
    const listing = await open();
    expect(await refs(eachOf(listing.members()))).toHaveLength(15_000);
    expect(await refs(eachOf(listing.members()))).toHaveLength(15_000);
    expect(server.requests).toHaveLength(3);
  });

  test('that is another one when it is read again is refused', async () => {
    let title = 'x'.repeat(2000);
    server = await startDocsetServer(function* () {
      yield* documents(15_000, title);
    });
    const listing = await open();
    title = 'y'.repeat(2000);
    await expect(refs(eachOf(listing.members()))).rejects.toThrow(JobFailedError);
  });

  test.each([
    ['no JSON', 'hello\n'],
    ['no docset', '{"ref":"a","files":{}}\n'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0xfe, 0x0a])],
    ['a member without files', '{"docset":{"id":"5","members":1}}\n{"ref":"a"}\n{"end":true,"members":1}\n'],
    [
      'another number of members',
      '{"docset":{"id":"5","members":2}}\n{"ref":"a","files":{}}\n{"end":true,"members":1}\n',
    ],
    ['a line without end', `{"docset":{"id":"5","members":1}}\n{"ref":"${'a'.repeat(2_000_000)}`],
    ['nothing at all', ''],
    [
      'a file in a segment that was not announced',
      `{"docset":{"id":"5","members":1}}\n${memberIn('7')}\n{"end":true,"members":1}\n`,
    ],
    [
      'a file beyond the end of its segment',
      `{"docset":{"id":"5","members":1}}\n${segmentLine({ size: 14 })}\n${memberIn('7')}\n{"end":true,"members":1}\n`,
    ],
    [
      'a segment without a key',
      `{"docset":{"id":"5","members":1}}\n${segmentLine({ key: undefined })}\n${memberIn('7')}\n{"end":true,"members":1}\n`,
    ],
  ])('that holds %s is refused in one sentence', async (_title, text) => {
    server = await startDocsetServer([]);
    server.setFault((_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' }).end(text);
      return true;
    });
    const failure = await open().catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'listing-incomplete' });
    expect((failure as Error).message).toMatch(/^The list of the docset's members could not be read: [^\n]+\.$/);
    // Five tries: a server that is being restarted may answer like this.
    expect(server.requests).toHaveLength(5);
  });

  test.each([
    ['is announced', {}, { segment: { id: '7', key: 'segments/sotu/x', size: 100 }, crc32: 0x00ff00ff, length: 10 }],
    ['holds it in a way that is not known here', { method: 'zstd' }, undefined],
  ])('says where a file lies whose segment %s', async (_title, changes, stored) => {
    server = await startDocsetServer([]);
    server.setFault((_request, response) => {
      const lines = ['{"docset":{"id":"5","members":1}}', segmentLine(), memberIn('7', changes), segmentLine()];
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
      response.end(`${lines.join('\n')}\n{"end":true,"members":1}\n`);
      return true;
    });
    const listing = await open();
    const found: Member[] = [];
    for await (const member of eachOf(listing.members())) found.push(member);
    expect(found).toMatchObject([{ ref: 'a', title: 'Zwölf', creator: undefined, files: { txt: { size: 20 } } }]);
    if (stored === undefined) expect(found[0]?.files['txt']?.stored).toBeUndefined();
    else expect(found[0]?.files['txt']?.stored).toMatchObject(stored);
    expect(listing).toMatchObject({ isStored: stored !== undefined, storedBytes: stored?.length ?? 0 });
  });

  test('leaves no listener on the signal of its job, however many requests there were', async () => {
    server = await startDocsetServer(documents(1));
    const warnings: unknown[] = [];
    const note = (warning: unknown): void => void warnings.push(warning);
    process.on('warning', note);
    const client = createSourceClient({
      apiUrl: new URL(server.url),
      packagerKey: KEY,
      signal: new AbortController().signal,
    });
    for (let count = 0; count < 50; count++) {
      const answer = await client.get(new URL(`${server.url}/api/documents/doc-00000/files/txt`), '*/*');
      if (count % 2 === 0) answer.discard();
      else for await (const piece of answer.pieces) expect(piece.length).toBe(4);
    }
    process.off('warning', note);
    expect(warnings).toEqual([]);
  });
});

test('lines are cut wherever the pieces are, also within a character', async () => {
  server = await startDocsetServer([]);
  const text = Buffer.from('erste Zeile\n\nzwölf\n論文');
  async function* bytes(): AsyncGenerator<Buffer> {
    for (const byte of text) yield await Promise.resolve(Buffer.from([byte]));
  }
  const lines: string[] = [];
  for await (const some of readLines(bytes(), 100)) lines.push(...some);
  expect(lines).toEqual(['erste Zeile', 'zwölf', '論文']);
});

test('the byte budget is given in turn, and what is larger than all of it goes alone', async () => {
  server = await startDocsetServer([]);
  const budget = createByteBudget(100);
  const admitted: number[] = [];
  const ask = (bytes: number): void => void budget.take(bytes).then(() => admitted.push(bytes));
  const turn = () => new Promise(setImmediate);
  for (const bytes of [60, 40, 500, 1]) ask(bytes);
  await turn();
  expect(admitted).toEqual([60, 40]);
  budget.give(60);
  await turn();
  expect(admitted).toEqual([60, 40]);
  budget.give(40);
  await turn();
  expect(admitted).toEqual([60, 40, 500]);
  budget.give(500);
  await turn();
  expect(admitted).toEqual([60, 40, 500, 1]);
});
