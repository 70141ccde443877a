/** What a search engine beside the database must never do: leave something out, or answer what is no longer so. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { findCollection } from '../../api-server/collections/collections.js';
import { createEngineClient } from '../../api-server/collections/search-engine/engine-client.js';
import { rebuildIndex } from '../../api-server/collections/search-engine/fill-index.js';
import { startTcpProxy, type SearchNode, type TcpProxy } from '../servers/index.js';
import { fill, ndjson, startFreshApiServer, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachSearchServer } from './on-each-search-engine.js';

onEachSearchServer((startEngine) => {
  let engine: SearchNode;
  let proxy: TcpProxy;
  let server: FreshApiServer;
  let admin: Client;
  beforeAll(async () => {
    engine = await startEngine();
    proxy = await startTcpProxy(Number(new URL(engine.url).port));
    server = await startFreshApiServer(undefined, { SEARCH_URL: `http://127.0.0.1:${proxy.port}/test` });
    admin = server.as(await server.keyOf('Grace', 'admin'));
  }, 150_000);
  afterAll(async () => {
    await server.stop();
    await proxy.close();
    await engine.close();
  });

  const search = (collection: string, query: unknown = { match_all: {} }) =>
    admin.post(`/api/collections/${collection}/search`).send({ query });
  const ingest = (collection: string, documents: object[]) =>
    admin
      .post(`/api/collections/${collection}/documents`)
      .set('Content-Type', 'application/x-ndjson')
      .send(ndjson(documents))
      .expect(200);
  const rebuild = async (collection: string) => {
    const { knex, content } = server.parts;
    const client = createEngineClient(`${engine.url}/test`);
    return rebuildIndex({ knex, content, client }, await findCollection(knex, collection));
  };

  test('a docset has all of very many hits', async () => {
    await fill(server, 'many', [{ ref: 'zz', metadata: { title: 'word' } }]);
    await server.parts.knex.raw(
      `insert into documents (collection_id, ref, revision, current, digest, title, metadata, tsv, metadata_tsv)
       select 'many', 'r' || number, 1, true, '', 'word', '{}', '', '' from generate_series(1, 20001) as number`,
    );
    expect(await rebuild('many')).toBe(20_002);
    expect((await search('many', 'word').expect(200)).body).toMatchObject({ hits: 20_002 });
    const docset = await admin.post('/api/docsets').send({ collection: 'many', query: 'word' }).expect(201);
    expect(docset.body).toMatchObject({ documents: 20_002 });
  });

  test('texts are taken in while they are written, and only those that were not are read again', async () => {
    await fill(server, 'texts', []);
    const { content } = server.parts;
    const read = content.read.bind(content);
    let reads = 0;
    content.read = (...given) => {
      reads += 1;
      return read(...given);
    };
    try {
      const documents = ['a', 'b'].map((ref) => ({ ref, files: { txt: { text: `the words of ${ref}` } } }));
      expect((await ingest('texts', documents)).body).toMatchObject({ added: 2, search_index: 'complete' });
      expect(reads).toBe(0);
      expect((await search('texts', 'words').expect(200)).body).toMatchObject({ hits: 2 });
      expect(await rebuild('texts')).toBe(2);
      expect(reads).toBe(2);
      expect((await search('texts', 'words').expect(200)).body).toMatchObject({ hits: 2 });
    } finally {
      content.read = read;
    }
  });

  test('what was changed or withdrawn is found as it is now, or not at all', async () => {
    await fill(server, 'c', [
      { ref: 'a', metadata: { title: 'old' } },
      { ref: 'b', metadata: { title: 'old' } },
    ]);
    await ingest('c', [{ ref: 'a', metadata: { title: 'new' } }]);
    expect((await search('c', 'old').expect(200)).body).toMatchObject({ hits: 1, documents: [{ ref: 'b' }] });
    expect((await search('c', 'new').expect(200)).body).toMatchObject({ hits: 1, documents: [{ ref: 'a' }] });
    const started = await admin.post('/api/collections/c/ingests').expect(201);
    const { id } = started.body as { id: string };
    await ingest(`c`, [{ ref: 'c', metadata: { title: 'new' } }]);
    await admin
      .post('/api/collections/c/documents')
      .query({ ingest: id })
      .set('Content-Type', 'application/x-ndjson')
      .send(ndjson([{ ref: 'a', metadata: { title: 'new' } }]))
      .expect(200);
    await admin.post(`/api/collections/c/ingests/${id}/finish`).send({ withdraw: true }).expect(200);
    expect((await search('c').expect(200)).body).toMatchObject({ hits: 2, documents: [{ ref: 'a' }, { ref: 'c' }] });
    expect(await rebuild('c')).toBe(2);
    expect((await search('c').expect(200)).body).toMatchObject({ hits: 2 });
  });

  test('an empty collection has nothing to find', async () => {
    await admin.post('/api/collections').send({ id: 'empty', name: 'empty', licence: 'CC0-1.0' }).expect(201);
    expect((await search('empty').expect(200)).body).toMatchObject({ hits: 0, documents: [] });
  });

  test('an index that does not have everything answers nothing, until the next ingest or a rebuild', async () => {
    await fill(server, 'late', [{ ref: 'a' }]);
    const { port } = proxy;
    await proxy.close();
    expect((await ingest('late', [{ ref: 'b' }])).body).toMatchObject({ added: 1, search_index: 'behind' });
    const refused = await search('late').expect(503);
    expect(refused.body).toMatchObject({ type: '/problems/search-engine-unavailable' });
    expect(refused.headers['retry-after']).toBe('5');
    const { knex } = server.parts;
    expect(await knex('documents').where({ collection_id: 'late' })).toHaveLength(2);
    proxy = await startTcpProxy(Number(new URL(engine.url).port), port);
    expect((await search('late').expect(503)).body).toMatchObject({ type: '/problems/search-index-behind' });
    const docset = await admin.post('/api/docsets').send({ collection: 'late', query: { match_all: {} } });
    expect(docset).toMatchObject({ status: 503, body: { type: '/problems/search-index-behind' } });
    await ingest('late', [{ ref: 'c' }]);
    expect((await search('late').expect(200)).body).toMatchObject({ hits: 3 });
  });
});
