/** Citations, read back by readers of another make, whatever miners and collections call themselves. */
import { Cite } from '@citation-js/core';
import '@citation-js/plugin-bibtex';
import '@citation-js/plugin-ris';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fill, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';

const HOSTILE =
  'A \\textbf{x} {un{balanced}} } 5 & 100% #1 _a_ ~ ^ $\nER  - \r\nTY  - BOOK\u2028@book{b,\u202Eltr\u202C “é”';
/** The same in one line, without what turns the direction of writing. */
const READ = 'A \\textbf{x} {un{balanced}} } 5 & 100% #1 _a_ ~ ^ $ ER - TY - BOOK @book{b,ltr “é”';

let server: FreshApiServer;
let miner: Client;
beforeAll(async () => {
  server = await startFreshApiServer(undefined, { PUBLIC_URL: 'https://texts.example' });
  miner = server.as(await server.keyOf('Ada {and} Eve & Bob }'));
  await fill(server, 'c', [{ ref: 'a', files: { txt: { text: 'apple' } } }], {
    name: HOSTILE,
    source: HOSTILE,
    licence: 'CC0-1.0',
  });
});
afterAll(() => server.stop());

const docset = async (body: object): Promise<string> =>
  (
    (
      await miner
        .post('/api/docsets')
        .send({ collection: 'c', ...body })
        .expect(201)
    ).body as { id: string }
  ).id;

const cite = async (id: string, query = '', accept = '*/*'): Promise<{ type: string; text: string }> => {
  const response = await miner
    .get(`/api/docsets/${id}/citation${query}`)
    .set('Accept', accept)
    .buffer(true)
    .expect(200);
  // Superagent has text only of the types that it knows.
  const text = (response.text as string | undefined) ?? (response.body as Buffer).toString();
  return { type: String(response.headers['content-type']), text };
};

interface Read {
  type: string;
  title: string;
  author: { family: string }[];
  note: string;
  URL: string;
  issued: { 'date-parts': number[][] };
}
const read = (text: string, forceType: '@bibtex/text' | '@ris/file'): Read[] =>
  new Cite(text, { forceType }).data as Read[];

test('BibTeX of hostile names has one entry, with the names as they are', async () => {
  const id = await docset({ name: HOSTILE, query: 'apple -{pear} -"100%"' });
  const { type, text } = await cite(id, '?format=bibtex');
  expect(type).toBe('application/x-bibtex; charset=utf-8');
  const entries = read(text, '@bibtex/text');
  expect(entries).toHaveLength(1);
  expect(entries[0]).toMatchObject({ title: READ, URL: `https://texts.example/api/docsets/${id}` });
  expect(entries[0]?.note).toContain('Query: apple -{pear} -"100%".');
  expect(entries[0]?.note).toContain('Licence: CC0-1.0.');
  expect(entries[0]?.author).toEqual([{ family: 'Ada {and} Eve & Bob }' }]);
  // BibTeX itself counts braces, and needs them in pairs.
  expect(text.match(/\{/g)?.length).toBe(text.match(/\}/g)?.length);
});

test('RIS of hostile names has one record, with the names as they are', async () => {
  const id = await docset({ name: HOSTILE, query: { term: { ref: 'a' } } });
  const { type, text } = await cite(id, '?format=ris');
  expect(type).toBe('application/x-research-info-systems; charset=utf-8');
  const records = read(text, '@ris/file');
  expect(records).toHaveLength(1);
  expect(records[0]).toMatchObject({ title: READ, type: 'dataset', URL: `https://texts.example/api/docsets/${id}` });
  const lines = text.split('\r\n');
  expect(lines).toContain('N1  - Query: {"term":{"ref":"a"}}.');
  expect(lines.filter((line) => line.startsWith('ER  - '))).toHaveLength(1);
  expect(lines.every((line) => line === '' || /^[A-Z][A-Z0-9] {2}- /.test(line))).toBe(true);
});

test('the sentence is one line, and never HTML', async () => {
  const id = await docset({ name: '<img src=x onerror=alert(1)>', members: ['a'] });
  const { type, text } = await cite(id);
  expect(type).toBe('text/plain; charset=utf-8');
  const today = new Date().toISOString().slice(0, 10);
  expect(text).toBe(
    `Ada {and} Eve & Bob }. “<img src=x onerror=alert(1)>”. Docset ${id} of the collection ${READ}: 1 document, fixed on ${today} at revision 2. ` +
      `Its members were named one by one. Source: ${READ}. Licence: CC0-1.0. https://texts.example/api/docsets/${id}\n`,
  );
});

test.each([
  ['application/x-bibtex', '', 'application/x-bibtex'],
  ['application/x-research-info-systems', '', 'application/x-research-info-systems'],
  ['text/html,*/*;q=0.8', '', 'text/plain'],
  ['application/x-bibtex', '?format=text', 'text/plain'],
])('Accept %s with %j answers %s', async (accept, query, type) => {
  const id = await docset({ query: 'apple' });
  expect((await cite(id, query, accept)).type).toBe(`${type}; charset=utf-8`);
});

test('a combination says what it was made from', async () => {
  const ids = [await docset({ query: 'apple' }), await docset({ members: ['a'] })];
  const id = await docset({ collection: undefined, intersect: ids });
  const { text } = await cite(id);
  expect(text).toContain(`“Docset ${id} of ${READ}”`);
  expect(text).toContain(`Made from docsets: {"intersect":${JSON.stringify(ids)}}.`);
});

test('a dump that is not there is no citation', async () => {
  const id = await docset({ query: 'apple' });
  const response = await miner.get(`/api/docsets/${id}/citation?dump=d1`).expect(404);
  expect(response.body).toMatchObject({ type: '/problems/dump-not-found' });
});
