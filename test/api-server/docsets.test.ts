import { createHash } from 'node:crypto';
import { crc32, inflateRawSync } from 'node:zlib';
import type { Response } from 'supertest';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PACKAGER_KEY, fill, ndjson, withHooks, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(docsetsBehave);

/** In the order of UTF-8 bytes, in which U+FF5E comes before U+1F600; in UTF-16 it would come behind. */
const REFS = ['A', 'Z', 'a', 'a-b', 'aa', 'é', '～', '😀'];

interface DocsetBody {
  url: string;
  id: string;
  documents: number;
  revision: number;
}
interface ListedFile {
  href: string;
  size: number;
  sha256: string;
  stored: { segment: string; offset: number; length: number; method: string; crc32: string; sha256: string };
}
interface MembersBody {
  docset: DocsetBody;
  members: { url: string; ref: string }[];
}

const digest = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

function docsetsBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let miner: Client;
  let other: Client;
  let packager: Client;
  beforeAll(async () => {
    server = await start();
    miner = server.as(await server.keyOf('Ada'));
    other = server.as(await server.keyOf('Bob'));
    packager = server.as(PACKAGER_KEY);
    const documents = [...REFS].reverse().map((ref, index) => ({
      ref,
      metadata: { title: `Title of ${ref}`, creator: 'Nobody', date: '1900', year: 1900 + index },
      files: { txt: { text: `text of ${ref}` } },
    }));
    await fill(server, 'c', documents);
  });
  afterAll(() => server.stop());

  const make = async (body: object, client = miner): Promise<DocsetBody> =>
    (await client.post('/api/docsets').send(body).expect(201)).body as DocsetBody;
  const membersOf = async (id: string): Promise<string[]> => {
    const { body } = (await miner.get(`/api/docsets/${id}/members`).expect(200)) as { body: MembersBody };
    return body.members.map(({ ref }) => ref);
  };
  const countDocsets = async () => Number((await server.parts.knex('docsets').count({ count: '*' }))[0]?.['count']);

  test('a docset answers as the first Adit did, under a short number', async () => {
    const query = { match_all: {} };
    const response = await miner.post('/api/docsets').send({ query }).expect(201);
    const { id } = response.body as DocsetBody;
    expect(id).toMatch(/^\d+$/);
    expect(response.headers['location']).toBe(`/api/docsets/${id}`);
    expect(response.body).toMatchObject({ create: 'success', url: `/docsets/${id}`, documents: REFS.length });
    const listed = (await miner.get('/api/docsets').expect(200)).body as { docsets: DocsetBody[] };
    expect(listed.docsets).toContainEqual(
      expect.objectContaining({ url: `/docsets/${id}`, name: null, generator: '{"match_all":{}}', owner: 'Ada' }),
    );
    expect((await miner.get(`/api/docsets/${id}`).expect(200)).body).toMatchObject({ url: `/docsets/${id}`, query });
  });

  test('members stay in the order of the UTF-8 bytes of their refs, page by page and line by line', async () => {
    const { id } = await make({ query: { match_all: {} } });
    expect(await membersOf(id)).toEqual(REFS);
    const seen: string[] = [];
    let path: string | undefined = `/api/docsets/${id}/members?limit=3`;
    while (path !== undefined) {
      const response: Response = await miner.get(path).expect(200);
      seen.push(...(response.body as MembersBody).members.map(({ ref }) => ref));
      path = /^<([^>]+)>; rel="next"$/.exec(response.headers['link'] ?? '')?.[1];
    }
    expect(seen).toEqual(REFS);
    const lines = await miner.get(`/api/docsets/${id}/members`).set('Accept', 'application/x-ndjson').expect(200);
    const refs = lines.text
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as { ref: string }).ref);
    expect(refs).toEqual(REFS);
  });

  test('members are those of the moment: what is ingested afterwards changes nothing', async () => {
    const { id } = await make({ query: { term: { year: 1907 } } });
    const admin = server.as(await server.keyOf('Admin', 'admin'));
    const before = await packager.get(`/api/docsets/${id}`).set('Accept', 'application/x-ndjson');
    await admin
      .post('/api/collections/c/documents')
      .set('Content-Type', 'application/x-ndjson')
      .send(
        ndjson([
          { ref: 'new', metadata: { year: 1907 } },
          { ref: 'A', metadata: { title: 'changed', year: 1907 } },
        ]),
      )
      .expect(200);
    const after = await packager.get(`/api/docsets/${id}`).set('Accept', 'application/x-ndjson');
    expect(after.text).toBe(before.text);
    const newer = await make({ query: { term: { year: 1907 } } });
    expect(await membersOf(newer.id)).toEqual(['A', 'new']);
  });

  test('members can be named by ref, id or URL, once each', async () => {
    const { id: all } = await make({ query: { match_all: {} } });
    const { body } = (await miner.get(`/api/docsets/${all}/members`)) as { body: MembersBody };
    const url = body.members.find(({ ref }) => ref === 'aa')?.url ?? '';
    const { id } = await make({ collection: 'c', members: ['Z', url, Number(url.split('/').at(-1)), 'Z', '😀'] });
    expect(await membersOf(id)).toEqual(['Z', 'aa', '😀']);
  });

  test('a docset that would be empty or shorter than asked for is not made', async () => {
    const before = await countDocsets();
    const empty = await miner
      .post('/api/docsets')
      .send({ query: { term: { year: 1 } } })
      .expect(422);
    expect(empty.body).toMatchObject({ type: '/problems/docset-empty' });
    const none = await miner.post('/api/docsets').send({ members: [] }).expect(422);
    expect(none.body).toMatchObject({ type: '/problems/docset-empty' });
    const unknown = await miner
      .post('/api/docsets')
      .send({ members: ['Z', 'nope', 999_999_999] })
      .expect(422);
    expect(unknown.body).toMatchObject({
      type: '/problems/members-unknown',
      unknown: ['/documents/999999999', 'nope'],
    });
    expect(await countDocsets()).toBe(before);
  });

  test('a new name is a new revision, the same name is not; both spellings of the body do', async () => {
    const { id } = await make({ query: 'text', name: 'before' });
    const old = await miner
      .put(`/api/docsets/${id}`)
      .send({ docset: { name: 'after' } })
      .expect(200);
    expect(old.body).toMatchObject({ update: 'success', name: 'after', revision: 2 });
    const same = await miner.patch(`/api/docsets/${id}`).send({ name: 'after', description: 'why' }).expect(200);
    expect(same.body).toMatchObject({ name: 'after', description: 'why', revision: 3 });
    expect((await miner.patch(`/api/docsets/${id}`).send({ name: 'after' })).body).toMatchObject({ revision: 3 });
  });

  test('a new name and description change that docset alone', async () => {
    const described = await make({ query: 'text', name: 'one', description: 'first' });
    const { id } = await make({ query: 'text', name: 'two' });
    await miner.patch(`/api/docsets/${id}`).send({ name: 'new', description: 'second' }).expect(200);
    expect((await miner.get(`/api/docsets/${described.id}`)).body).toMatchObject({
      name: 'one',
      description: 'first',
      revision: 1,
    });
  });

  test('somebody else’s docset can be neither seen nor changed, a packager sees every one', async () => {
    const { id } = await make({ query: 'text', name: 'mine' });
    for (const response of [
      await other.get(`/api/docsets/${id}`),
      await other.get(`/api/docsets/${id}/members`),
      await other.patch(`/api/docsets/${id}`).send({ name: 'theirs' }),
      await other.delete(`/api/docsets/${id}`),
    ]) {
      expect(response.status).toBe(403);
      expect(response.body).toMatchObject({ type: '/problems/not-your-docset' });
    }
    expect((await other.get('/api/docsets')).body).toEqual({ docsets: [] });
    expect((await miner.get(`/api/docsets/${id}`)).body).toMatchObject({ name: 'mine' });
    await packager.get(`/api/docsets/${id}`).expect(200);
  });

  test('a deleted docset is gone for its owner, and a packager at work on it is told to stop', async () => {
    const { id } = await make({ query: 'text' });
    const ended: string[] = [];
    withHooks(server, { endDumpsOf: (docset) => Promise.resolve(void ended.push(docset)) });
    expect((await miner.delete(`/api/docsets/${id}`).expect(200)).body).toEqual({ delete: 'ok' });
    expect(ended).toEqual([id]);
    expect((await miner.get(`/api/docsets/${id}`).expect(404)).body).toMatchObject({
      type: '/problems/docset-not-found',
    });
    await miner.delete(`/api/docsets/${id}`).expect(404);
    expect((await packager.get(`/api/docsets/${id}`).expect(410)).body).toMatchObject({ type: '/problems/dump-gone' });
  });

  test('a packager reads the listing of docs/packager-http.md', async () => {
    const { id } = await make({ name: 'for packing', members: ['a', 'aa'] });
    const path = `/api/docsets/${id}?fmt=meta,txt,pdf`;
    const response = await packager.get(path).set('Accept', 'application/x-ndjson').expect(200);
    expect(response.headers['content-type']).toMatch(/^application\/x-ndjson/);
    const lines = response.text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(lines[0]).toMatchObject({
      docset: { id, name: 'for packing', collection: 'c', licence: 'CC0-1.0', query: null, revision: 1, members: 2 },
    });
    const { segment } = lines[1] as { segment: { id: string; href: string; size: number; key: string } };
    expect(segment).toEqual({
      id: segment.id,
      href: `${server.url}/api/segments/${segment.id}`,
      size: expect.any(Number),
      key: expect.stringMatching(/^segments\/c\/[0-9a-f-]{36}$/),
    });
    expect(lines.slice(2, -1).map((line) => line['ref'])).toEqual(['a', 'aa']);
    expect(lines.at(-1)).toEqual({ end: true, members: 2 });
    const { files, ...member } = lines[2] as { files: Record<string, ListedFile> };
    expect(member).toMatchObject({ title: 'Title of a', creator: 'Nobody', date: '1900' });
    expect(Object.keys(files)).toEqual(['meta', 'txt']);
    expect(files['txt']).toMatchObject({ media_type: 'text/plain; charset=utf-8', size: 'text of a'.length });
    expect(files['txt']?.href.startsWith(`${server.url}/api/documents/`)).toBe(true);
    const again = await packager.get(path).set('Accept', 'application/x-ndjson');
    expect(again.text).toBe(response.text);

    for (const { href, sha256, stored } of Object.values(files)) {
      const { offset, length } = stored;
      const range = `bytes=${offset}-${offset + length - 1}`;
      const bytes = await packager.get(`/api/segments/${stored.segment}`).set('Range', range).buffer(true).expect(206);
      expect(digest(bytes.body as Buffer)).toBe(stored.sha256);
      const content = stored.method === 'deflate' ? inflateRawSync(bytes.body as Buffer) : (bytes.body as Buffer);
      expect([digest(content), crc32(content).toString(16).padStart(8, '0')]).toEqual([sha256, stored.crc32]);
      const { pathname } = new URL(href);
      expect((await packager.get(pathname).buffer(true).expect(200)).headers['content-type']).toBeDefined();
    }

    const json = await packager.get(path).expect(200);
    expect(json.body).toMatchObject({
      id,
      members: [{ url: /^\/documents\//, ref: 'a' }, { ref: 'aa' }].map(({ ref }) => ({ ref })),
    });
  });

  test('a packager at work on a dump that nobody wants is told so, before it is told anything else', async () => {
    const { id } = await make({ members: ['a'] });
    withHooks(server, { isDumpWanted: (dump) => Promise.resolve(dump === 'wanted') });
    await packager.get(`/api/docsets/${id}`).set('Adit-Dump', 'wanted').expect(200);
    for (const path of [`/api/docsets/${id}`, '/api/documents/1/files/txt']) {
      const gone = await packager.get(path).set('Adit-Dump', 'dismissed').expect(410);
      expect(gone.body).toMatchObject({ type: '/problems/dump-gone' });
    }
    await miner.get(`/api/docsets/${id}`).set('Adit-Dump', 'dismissed').expect(200);
  });
}
