/** Whole jobs over the embedded broker, a real HTTP server and a folder. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { startDocsetServer, type DocsetServer, type TestDocument } from './docset-server.js';
import { openStage, type Stage } from './packager-stage.js';
import { readBag, textOf } from './read-bag.js';

const DOCUMENTS: TestDocument[] = [
  {
    ref: '1790-george-washington',
    title: 'First, "annual" address',
    creator: 'George Washington',
    date: '1790',
    files: {
      meta: { content: '{"year":1790}', mediaType: 'application/ld+json' },
      txt: { content: 'Fellow citizens\n'.repeat(500) },
      pdf: { content: Buffer.alloc(3000, 'x'), mediaType: 'application/pdf' },
    },
  },
  { ref: 'müller/2', title: 'Ünïcode', files: { meta: { content: '{}' }, txt: { content: 'zwei' } } },
  { ref: 'no-text', files: { meta: { content: '{}' } } },
];

let server: DocsetServer;
let stage: Stage;

beforeEach(async () => {
  server = await startDocsetServer(DOCUMENTS, {
    docset: { query: { match: { text: 'peace\nwar' } }, source: 'Congress', licence: 'CC0-1.0', name: 'Addresses' },
  });
  stage = await openStage(server.url);
});
afterEach(async () => {
  await stage.close();
  await server.close();
});

describe('a package request', () => {
  test('becomes a valid bag, and events that say so in their order', async () => {
    await stage.start();
    await stage.request(server.docsetUrl('meta,txt,pdf'), 'd1');
    const events = await stage.eventsUntil('Complete');
    const last = events.at(-1);
    expect(events.map(({ type }) => type)).toEqual(['Accepted', 'Complete']);
    expect(events.map(({ sequence }) => sequence)).toEqual([1, 2]);
    expect(last).toMatchObject({ dump: 'd1', attempt: 1, documents: 1, omitted: 2 });
    expect(last?.timeline?.map(({ phase }) => phase)).toEqual(['listing', 'packaging', 'uploading', 'verifying']);

    const bag = await readBag(await stage.readArchive(last));
    expect(bag.top).toBe('docset-5/');
    expect([...bag.files.keys()].filter((path) => path.startsWith('data/')).sort()).toEqual([
      'data/1790-george-washington.json',
      'data/1790-george-washington.pdf',
      'data/1790-george-washington.txt',
      expect.stringMatching(/^data\/müller_2~[0-9a-f]{8}\.json$/),
      expect.stringMatching(/^data\/müller_2~[0-9a-f]{8}\.txt$/),
      'data/no-text.json',
    ]);
    expect(textOf(bag, 'omitted.csv')).toBe(
      'ref,format,reason\nmüller/2,pdf,missing\nno-text,txt,missing\nno-text,pdf,missing\n',
    );
    expect(textOf(bag, 'catalog.csv').split('\n')[1]).toBe(
      `1790-george-washington,"First, ""annual"" address",George Washington,1790,${server.url}/api/documents/1790-george-washington,` +
        'data/1790-george-washington.json,data/1790-george-washington.txt,data/1790-george-washington.pdf',
    );
    expect(textOf(bag, 'bag-info.txt')).toContain('Query: {"match":{"text":"peace\\nwar"}}\n');
    expect(textOf(bag, 'bag-info.txt')).toContain('Files-Requested: 9\nFiles-Packed: 6\nFiles-Omitted: 3\n');
    const [first] = server.headers;
    expect(first).toMatchObject({ 'x-api-key': server.key, 'adit-dump': 'd1' });
  });
});
