/** Watches: what has appeared since, computed when it is asked for. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ndjson, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(watchesBehave);

interface News {
  since: number;
  until: number;
  added: number;
  changed: number;
  withdrawn: number;
  documents: { ref: string; change: string; title: string | null; url: string }[];
}

interface Page {
  body: unknown;
  headers: Record<string, string>;
}

const doc = (ref: string, text: string, title = ref) => ({ ref, metadata: { title }, files: { txt: { text } } });

function watchesBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let admin: Client;
  let ada: Client;
  beforeAll(async () => {
    server = await start();
    admin = server.as(await server.keyOf('Admin', 'admin'));
    ada = server.as(await server.keyOf('Ada'));
  });
  afterAll(() => server.stop());

  const make = (id: string) => admin.post('/api/collections').send({ id, name: id }).expect(201);
  const send = (collection: string, documents: object[], run?: string) =>
    admin
      .post(`/api/collections/${collection}/documents${run === undefined ? '' : `?ingest=${run}`}`)
      .set('Content-Type', 'application/x-ndjson')
      .send(ndjson(documents))
      .expect(200);
  /** Withdraws all but these. */
  const keepOnly = async (collection: string, documents: object[]) => {
    const run = await admin.post(`/api/collections/${collection}/ingests`).expect(201);
    const { id } = run.body as { id: string };
    await send(collection, documents, id);
    await admin
      .post(`/api/collections/${collection}/ingests/${id}/finish`)
      .send({ withdraw: true, most: true })
      .expect(200);
  };
  const watch = async (collection: string, query: unknown, name?: string): Promise<string> => {
    const made = await ada
      .post(`/api/collections/${collection}/watch`)
      .send({ query, ...(name !== undefined && { name }) })
      .expect(201);
    expect(made.headers['location']).toBe(`/api${(made.body as { url: string }).url}`);
    return (made.body as { url: string }).url;
  };
  const news = async (url: string): Promise<News> => (await ada.get(`/api${url}`).expect(200)).body as News;
  const changes = ({ documents }: News) => documents.map(({ ref, change }) => `${change} ${ref}`);

  test('tells what came, changed and went among what matches, until it is told that this was seen', async () => {
    await make('w');
    await send('w', [
      doc('old', 'apple'),
      doc('turns', 'apple'),
      doc('goes', 'apple'),
      doc('comes', 'pear'),
      doc('never', 'pear'),
    ]);
    const url = await watch('w', 'apple', 'Apples');
    expect(await news(url)).toMatchObject({ added: 0, changed: 0, withdrawn: 0, documents: [] });

    await send('w', [
      doc('new', 'apple'),
      doc('other', 'plum'),
      doc('comes', 'apple'),
      doc('turns', 'pear'),
      doc('old', 'apple pie', 'Old'),
    ]);
    await send('w', [doc('new', 'apple again'), doc('brief', 'apple')]);
    const kept = [
      doc('new', 'apple again'),
      doc('comes', 'apple'),
      doc('turns', 'pear'),
      doc('old', 'apple pie', 'Old'),
      doc('other', 'plum'),
    ];
    await keepOnly('w', kept);
    const told = await news(url);
    expect(told).toMatchObject({ added: 2, changed: 1, withdrawn: 2 });
    // What came and went in between was never there for its owner.
    expect(changes(told)).toEqual(['added comes', 'withdrawn goes', 'added new', 'changed old', 'withdrawn turns']);
    expect(told.documents.find(({ ref }) => ref === 'old')?.title).toBe('Old');
    const gone = told.documents.find(({ ref }) => ref === 'goes');
    expect((await ada.get(`/api${gone?.url ?? ''}`).expect(200)).body).toMatchObject({ ref: 'goes', current: false });
    expect(changes(await news(url))).toEqual(changes(told));

    const seen = await ada.patch(`/api${url}`).send({ since: told.until }).expect(200);
    expect(seen.body).toMatchObject({ name: 'Apples', since: told.until });
    expect(await news(url)).toMatchObject({ added: 0, changed: 0, withdrawn: 0, documents: [] });
    await send('w', [doc('goes', 'apple')]);
    expect(changes(await news(url))).toEqual(['added goes']);
    await ada.patch(`/api${url}`).send({ since: told.since }).expect(200);
    expect(changes(await news(url))).toEqual(['added comes', 'added new', 'changed old', 'withdrawn turns']);
  });

  test('news come in pages, in the order of their refs', async () => {
    await make('pages');
    const url = await watch('pages', { match_all: {} });
    await send(
      'pages',
      ['e', 'c', 'a', 'd', 'b'].map((ref) => doc(ref, ref)),
    );
    let next: string | undefined = `/api${url}?limit=2`;
    const pages: string[][] = [];
    while (next !== undefined) {
      const page: Page = await ada.get(next).expect(200);
      expect(page.body).toMatchObject({ added: 5 });
      pages.push((page.body as News).documents.map(({ ref }) => ref));
      next = /<(.*)>/.exec(page.headers['link'] ?? '')?.[1];
    }
    expect(pages).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  });

  test('a watch is its owner’s, and can be listed, named and deleted', async () => {
    await make('own');
    await send('own', [doc('a', 'apple')]);
    const [first, second] = [await watch('own', 'apple'), await watch('own', { term: { title: 'a' } }, 'Second')];
    const listed = await ada.get('/api/collections/own/watch?limit=1').expect(200);
    expect(listed.body).toMatchObject({ watches: [{ url: first, query: 'apple', name: null }] });
    const rest = await ada.get(/<(.*)>/.exec(listed.headers['link'] ?? '')?.[1] ?? '').expect(200);
    expect(rest.body).toMatchObject({ watches: [{ url: second, query: { term: { title: 'a' } }, name: 'Second' }] });
    expect((await admin.get('/api/collections/own/watch').expect(200)).body).toEqual({ watches: [] });
    expect((await admin.get(`/api${first}`).expect(403)).body).toMatchObject({ type: '/problems/not-your-watch' });
    expect((await ada.patch(`/api${first}`).send({ name: 'First' }).expect(200)).body).toMatchObject({ name: 'First' });
    expect((await ada.delete(`/api${first}`).expect(200)).body).toEqual({ delete: 'ok' });
    expect((await ada.get(`/api${first}`).expect(404)).body).toMatchObject({ type: '/problems/watch-not-found' });
  });

  test('a query that is not supported, and a revision that there is not yet, are refused', async () => {
    await make('bad');
    const query = await ada
      .post('/api/collections/bad/watch')
      .send({ query: { fuzzy: {} } })
      .expect(400);
    expect(query.body).toMatchObject({ type: '/problems/query-not-supported' });
    const url = await watch('bad', { match_all: {} });
    const later = await ada.patch(`/api${url}`).send({ since: 99 }).expect(400);
    expect(later.body).toMatchObject({ type: '/problems/request-invalid', errors: [{ pointer: '/since' }] });
    expect((await ada.get(`/api${url}?cursor=AA`).expect(400)).body).toMatchObject({
      type: '/problems/cursor-invalid',
    });
  });
}
