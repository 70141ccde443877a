import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'csv-parse/sync';
import { fill, ndjson, type Client, type FreshApiServer } from './fresh-api-server.js';
import { waitUntil } from '../servers/wait-until.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(listsBehave);

interface DocsetBody {
  id: string;
  name: string | null;
  documents: number;
  unknown: number;
  collection_revision: number;
  generator: string;
}

/** The second is a trap for whoever cuts CSV by hand, the third for spreadsheets. */
const REFS = ['a', 'b,"c"', '=1+1', 'd', 'e'];

function listsBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let miner: Client;
  let other: Client;
  let admin: Client;
  beforeAll(async () => {
    server = await start();
    miner = server.as(await server.keyOf('Ada'));
    other = server.as(await server.keyOf('Bob'));
    admin = server.as(await server.keyOf('Admin', 'admin'));
    const documents = REFS.map((ref) => ({
      ref,
      metadata: { title: `Title\rof ${ref}` },
      files: { txt: { text: ref } },
    }));
    await fill(server, 'c', documents);
    await fill(server, 'other', [{ ref: 'a', metadata: {} }]);
  });
  afterAll(() => server.stop());

  const post = (body: object | string, { client = miner, type = 'application/json', query = '' } = {}) =>
    client.post(`/api/docsets${query}`).set('Content-Type', type).send(body);
  const make = async (body: object, client = miner): Promise<DocsetBody> =>
    (await post({ collection: 'c', ...body }, { client }).expect(201)).body as DocsetBody;
  const makeOfList = async (body: string, type: string, query = ''): Promise<DocsetBody> =>
    (await post(body, { type, query: `?collection=c${query}` }).expect(201)).body as DocsetBody;
  const refsOf = async ({ id }: { id: string }): Promise<string[]> => {
    const response = await miner.get(`/api/docsets/${id}/members`).expect(200);
    return (response.body as { members: { ref: string }[] }).members.map(({ ref }) => ref);
  };
  const countRows = async (table: string) =>
    Number((await server.parts.knex(table).count({ count: '*' }))[0]?.['count']);
  const ingest = (documents: object[]) =>
    admin
      .post('/api/collections/c/documents')
      .set('Content-Type', 'application/x-ndjson')
      .send(ndjson(documents))
      .expect(200);

  describe('a list of members', () => {
    test('may be NDJSON of refs, ids and whatever lists documents', async () => {
      const listed = await miner.get(`/api/docsets/${(await make({ members: ['d'] })).id}/members`);
      const [{ id }] = (listed.body as { members: [{ id: string }] }).members;
      const lines = ['"a"', Number(id), { ref: 'e', title: 'not looked at' }, { url: `/documents/${id}` }, { id }];
      const text = lines.map((line) => (typeof line === 'object' ? JSON.stringify(line) : String(line))).join('\r\n\n');
      const docset = await makeOfList(text, 'application/x-ndjson', '&name=Listed&description=why');
      expect(docset).toMatchObject({ name: 'Listed', description: 'why', documents: 3, unknown: 0 });
      expect(await refsOf(docset)).toEqual(['a', 'd', 'e']);
    });

    test('may be CSV with one column that names documents among others', async () => {
      const docset = await makeOfList(
        '\ufefftitle,Ref\r\n"x\ny","b,""c"""\r\nz,=1+1,too much\r\n\r\n',
        'text/csv; charset=utf-8',
      );
      expect(await refsOf(docset)).toEqual(['=1+1', 'b,"c"']);
    });

    test('that an answer of ours is, makes the same docset again', async () => {
      const { id } = await make({ query: { match_all: {} } });
      for (const table of ['members', 'catalog']) {
        for (const type of ['text/csv', 'application/x-ndjson']) {
          const { text } = await miner.get(`/api/docsets/${id}/${table}`).set('Accept', type).expect(200);
          expect(await refsOf(await makeOfList(text, type))).toEqual([...REFS].sort());
        }
      }
    });

    test('with a line that cannot be read makes nothing, and says which line', async () => {
      const before = await countRows('docsets');
      const cases: [string, string, number, RegExp][] = [
        ['"a"\n{"ref":', 'application/x-ndjson', 2, /not JSON/],
        ['"a"\n{"name":"b"}', 'application/x-ndjson', 2, /no ref, id or url/],
        ['["a"]', 'application/x-ndjson', 1, /no ref, id or url/],
        ['{"id":"one"}', 'application/x-ndjson', 1, /number of a document/],
        ['"a\\u0000"', 'application/x-ndjson', 1, /text of up to/],
        ['a\nb\n', 'text/csv', 1, /columns/],
        ['ref,title\na,b\n,c\n', 'text/csv', 3, /no ref, id or url/],
        ['ref\na\n"b', 'text/csv', 3, /[Qq]uot/],
      ];
      for (const [body, type, line, detail] of cases) {
        const response = await post(body, { type, query: '?collection=c' }).expect(422);
        expect(response.body).toMatchObject({
          type: '/problems/members-unreadable',
          line,
          detail: expect.stringMatching(detail),
        });
      }
      const empty = await post('', { type: 'text/csv', query: '?collection=c' }).expect(422);
      expect(empty.body).toMatchObject({ type: '/problems/docset-empty' });
      expect(await countRows('docsets')).toBe(before);
      expect(await countRows('named_members')).toBe(0);
    });

    test('with unknown members is refused, or made of the others with all of the unknown told', async () => {
      const members = ['a', 'nope', 'nor this', 'nope', 999_999_999];
      const refused = await post({ collection: 'c', members }).expect(422);
      expect(refused.body).toMatchObject({
        type: '/problems/members-unknown',
        detail: expect.stringMatching(/^3 of the members/),
        unknown: ['/documents/999999999', 'nope', 'nor this'],
      });
      const made = await post({ collection: 'c', members }, { query: '?unknown=report' }).expect(201);
      expect(made.body).toMatchObject({ documents: 1, unknown: 3 });
      const { id } = made.body as DocsetBody;
      const path = `/api/docsets/${id}/unknown`;
      const told = ['/documents/999999999', 'nope', 'nor this'];
      expect((await miner.get(path).expect(200)).body).toMatchObject({ docset: { id }, unknown: told });
      const lines = await miner.get(path).set('Accept', 'application/x-ndjson').expect(200);
      expect(
        lines.text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as string),
      ).toEqual(told);
      await other.get(path).expect(403);
      const none = await post({ collection: 'c', members: ['nope'] }, { query: '?unknown=report' }).expect(422);
      expect(none.body).toMatchObject({ type: '/problems/docset-empty' });
    });

    test('of more than a million is refused with the limit', async () => {
      const before = await countRows('docsets');
      const list = '"a"\n'.repeat(1_000_001);
      const response = await post(list, { type: 'application/x-ndjson', query: '?collection=c' });
      expect(response.body).toMatchObject({ type: '/problems/members-too-many', status: 422, limit: 1_000_000 });
      expect([await countRows('docsets'), await countRows('named_members')]).toEqual([before, 0]);
    });

    test('that breaks off on its way leaves nothing', async () => {
      const before = await countRows('docsets');
      const body = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.from(`ref\n${'a\n'.repeat(20_001)}`);
        await waitUntil('the first members are there', async () => (await countRows('named_members')) > 0);
        throw new Error('the line is cut');
      };
      const sent = fetch(`${server.url}/api/docsets?collection=c`, {
        method: 'POST',
        headers: { 'X-API-Key': await server.keyOf('Eve'), 'Content-Type': 'text/csv' },
        body: body(),
        duplex: 'half',
      });
      await expect(sent).rejects.toHaveProperty('cause.message', 'the line is cut');
      await waitUntil('the list is forgotten', async () => (await countRows('named_members')) === 0);
      expect(await countRows('docsets')).toBe(before);
    });
  });

  describe('docsets of docsets', () => {
    let first: DocsetBody;
    let second: DocsetBody;
    beforeAll(async () => {
      first = await make({ members: ['a', 'd', 'e'], name: 'first' });
      second = await make({ members: ['d', '=1+1'] });
    });

    test('are their union, intersection, difference or copy', async () => {
      const ids = [first.id, second.id];
      expect(await refsOf(await make({ union: ids }))).toEqual(['=1+1', 'a', 'd', 'e']);
      expect(await refsOf(await make({ intersect: ids }))).toEqual(['d']);
      const minus = await make({ minus: [...ids, second.id] });
      expect(minus).toMatchObject({ generator: JSON.stringify({ minus: [...ids, second.id] }), documents: 2 });
      expect(await refsOf(minus)).toEqual(['a', 'e']);
      const copy = await make({ copy: first.id, name: 'copy' });
      expect(copy).toMatchObject({ name: 'copy', collection_revision: first.collection_revision });
      expect(await refsOf(copy)).toEqual(['a', 'd', 'e']);
    });

    test('do not need a collection to be named', async () => {
      expect((await post({ copy: first.id }).expect(201)).body).toMatchObject({ collection: 'c' });
      const wrong = await post({ copy: first.id, collection: 'other' }).expect(422);
      expect(wrong.body).toMatchObject({ type: '/problems/collections-differ' });
    });

    test('take the newest version of a document, and tell documents by their refs', async () => {
      await ingest([{ ref: 'd', metadata: { title: 'new' } }]);
      const newer = await make({ members: ['d'] });
      expect(newer.collection_revision).toBeGreaterThan(second.collection_revision);
      for (const how of ['union', 'intersect']) {
        const made = await make({ [how]: [newer.id, second.id] });
        const response = await miner.get(`/api/docsets/${made.id}/catalog`);
        expect((response.body as { members: object[] }).members).toContainEqual(
          expect.objectContaining({ ref: 'd', title: 'new' }),
        );
        expect(made.collection_revision).toBe(newer.collection_revision);
      }
      await post({ minus: [newer.id, second.id] }).expect(422);
    });

    test('cannot be made of what is not there, not yours, or of another collection', async () => {
      const theirs = await make({ members: ['a'] }, other);
      const strange = await make({ collection: 'other', members: ['a'] });
      const before = await countRows('docsets');
      const refusals: [string, number, string][] = [
        ['99999', 404, 'docset-not-found'],
        [theirs.id, 403, 'not-your-docset'],
        [strange.id, 422, 'collections-differ'],
      ];
      for (const [id, status, problem] of refusals) {
        const response = await post({ union: [first.id, id] }).expect(status);
        expect(response.body).toMatchObject({ type: `/problems/${problem}` });
      }
      expect((await post({ union: [first.id] }).expect(400)).body).toMatchObject({ errors: [{ pointer: '/union' }] });
      await post({ union: [first.id, second.id], copy: first.id }).expect(400);
      await post({ minus: [first.id, first.id, first.id], intersect: [] }).expect(400);
      expect(await countRows('docsets')).toBe(before);
    });
  });

  describe('a catalogue', () => {
    test('is CSV by RFC 4180, in which no title becomes a row and no ref is changed', async () => {
      const { id } = await make({ members: REFS.slice(0, 3) });
      const { text, headers } = await miner.get(`/api/docsets/${id}/catalog`).set('Accept', 'text/csv').expect(200);
      expect(headers['content-type']).toBe('text/csv; charset=utf-8; header=present');
      expect(text.startsWith('ref,title,creator,date,url,formats\r\n')).toBe(true);
      const records = parse(text, { columns: true, record_delimiter: '\r\n' }) as unknown as Record<string, string>[];
      expect(records.map(({ ref }) => ref)).toEqual(['=1+1', 'a', 'b,"c"']);
      expect(records[1]).toMatchObject({ title: 'Title\nof a', formats: 'meta txt' });
      expect(records[1]?.['url']).toMatch(/^http:\/\/localhost:\d+\/api\/documents\/\d+$/);
    });

    test('comes page by page in each form', async () => {
      const { id } = await make({ query: { match_all: {} } });
      for (const type of ['application/json', 'application/x-ndjson', 'text/csv']) {
        let pages = 0;
        let path: string | undefined = `/api/docsets/${id}/catalog?limit=2`;
        const refs: string[] = [];
        while (path !== undefined) {
          const response: { text: string; headers: Record<string, string> } = await miner.get(path).set('Accept', type);
          pages += 1;
          refs.push(...refsIn(response.text, type));
          path = /^<([^>]+)>; rel="next"$/.exec(response.headers['link'] ?? '')?.[1];
        }
        expect([pages, refs]).toEqual([3, [...REFS].sort()]);
      }
    });
  });

  test('what a client has is not sent again until the docset has another name', async () => {
    const { id } = await make({ members: ['a', 'e'], name: 'one' });
    const seen = new Set<string>();
    for (const path of ['', '/members', '/members?limit=1', '/catalog', '/unknown']) {
      for (const type of ['application/json', 'text/csv']) {
        if (path === '' && type === 'text/csv') continue;
        const get = () => miner.get(`/api/docsets/${id}${path}`).set('Accept', type);
        const { headers } = await get().expect(200);
        const etag = headers['etag'] ?? '';
        expect(etag).toMatch(/^"[\w-]{27}"$/);
        expect(headers['cache-control']).toBe('private, no-cache');
        seen.add(etag);
        const again = await get().set('If-None-Match', `"x", ${etag}`).expect(304);
        expect([again.text, again.headers['etag']]).toEqual(['', etag]);
        await get().set('If-None-Match', '"x"').expect(200);
      }
    }
    // Each representation has its own.
    expect(seen.size).toBe(9);
    await miner.patch(`/api/docsets/${id}`).send({ name: 'two' }).expect(200);
    for (const etag of seen) await miner.get(`/api/docsets/${id}`).set('If-None-Match', etag).expect(200);
    await other.get(`/api/docsets/${id}`).set('If-None-Match', '*').expect(403);
  });

  test('dumps are listed page by page, newest first', async () => {
    const { id: docset_id } = await make({ members: ['a'] });
    const created = new Date('2026-01-01T00:00:00.123Z');
    const facts = { docset_id, docset_revision: 1, status: 'dismissed', attempt: 1, progress: 0, finished: created };
    const rows = Array.from({ length: 7 }, (_, index) => ({
      ...facts,
      ...{ id: `dump-${index}`, formats: `f${index}`, follows: '', counts: '{"requested":1,"packed":0,"omitted":0}' },
      // Four of them at the same moment.
      ...{ timeline: '[]', created: new Date(created.getTime() + Math.max(0, index - 3)), updated: created },
    }));
    await server.parts.knex('dumps').insert(rows);
    const seen: string[] = [];
    let path: string | undefined = '/api/dumps?limit=2';
    while (path !== undefined) {
      const response: { body: unknown; headers: Record<string, string> } = await miner.get(path).expect(200);
      seen.push(...(response.body as { dumps: { id: string }[] }).dumps.map(({ id }) => id));
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers['link'] ?? '')?.[1];
    }
    expect(seen).toEqual([6, 5, 4, 3, 2, 1, 0].map((index) => `dump-${index}`));
    expect((await other.get('/api/dumps').expect(200)).body).toEqual({ dumps: [] });
    const cursor = Buffer.from('yesterday dump-1').toString('base64url');
    expect((await miner.get(`/api/dumps?cursor=${cursor}`).expect(400)).body).toMatchObject({
      type: '/problems/cursor-invalid',
    });
  });
}

function refsIn(text: string, type: string): string[] {
  if (type === 'text/csv')
    return parse(text)
      .slice(1)
      .map(([ref = '']) => ref);
  const members =
    type === 'application/json'
      ? (JSON.parse(text) as { members: { ref: string }[] }).members
      : text
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line) as { ref: string });
  return members.map(({ ref }) => ref);
}
