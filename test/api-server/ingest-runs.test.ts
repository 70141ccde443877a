/** Runs over a whole source, what a collection counts, and the schema of its metadata. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ndjson, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

onEachDatabase(runsBehave);

interface Report {
  added: number;
  changed: number;
  unchanged: number;
  refused: { line: number; ref: string | null; reason: string }[];
}

const text = (ref: string, year: number, body = ref) => ({
  ref,
  metadata: { title: `Title of ${ref}`, date: String(year) },
  files: { txt: { text: body } },
});

function runsBehave(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let admin: Client;
  let miner: Client;
  beforeAll(async () => {
    server = await start();
    admin = server.as(await server.keyOf('Admin', 'admin'));
    miner = server.as(await server.keyOf('Ada'));
  });
  afterAll(() => server.stop());

  const make = (id: string, facts: object = {}) =>
    admin
      .post('/api/collections')
      .send({ id, name: id, ...facts })
      .expect(201);
  const send = async (collection: string, documents: object[], run?: string): Promise<Report> => {
    const response = await admin
      .post(`/api/collections/${collection}/documents${run === undefined ? '' : `?ingest=${run}`}`)
      .set('Content-Type', 'application/x-ndjson')
      .send(ndjson(documents))
      .expect(200);
    return response.body as Report;
  };
  const begin = async (collection: string): Promise<string> => {
    const response = await admin.post(`/api/collections/${collection}/ingests`).expect(201);
    return (response.body as { id: string }).id;
  };
  const finish = (collection: string, run: string, body: object = { withdraw: true }) =>
    admin.post(`/api/collections/${collection}/ingests/${run}/finish`).send(body);
  const show = async (collection: string) =>
    (await miner.get(`/api/collections/${collection}`).expect(200)).body as object;
  const refs = async (collection: string): Promise<string[]> => {
    const found = await miner
      .post(`/api/collections/${collection}/search`)
      .send({ query: { match_all: {} }, limit: 100 });
    return (found.body as { documents: { ref: string }[] }).documents.map(({ ref }) => ref);
  };

  test('what the source of a run no longer has is withdrawn at its end, and docsets made before keep it', async () => {
    await make('w');
    const all = ['a', 'b', 'c', 'd', 'e'].map((ref, index) => text(ref, 1900 + index));
    await send('w', [...all, { ...text('p', 1950), files: { pdf: { base64: 'JVBERg==' } } }]);
    expect(await show('w')).toMatchObject({
      documents: 6,
      documents_by_format: { meta: 6, pdf: 1, txt: 5 },
      years: [1900, 1901, 1902, 1903, 1904, 1950].map((year) => ({ year, documents: 1 })),
    });
    const made = await miner.post('/api/docsets').send({ collection: 'w', query: { match_all: {} } });
    const { url } = made.body as { url: string };

    const run = await begin('w');
    expect(
      await send('w', [text('a', 1900), text('b', 1901), text('c', 1999, 'changed'), text('d', 1903)], run),
    ).toMatchObject({
      ...{ added: 0, changed: 1, unchanged: 3 },
    });
    const finished = await finish('w', run).expect(200);
    expect(finished.body).toMatchObject({ id: run, collection: 'w', withdrawn: 2, finished: expect.any(String) });
    expect(await refs('w')).toEqual(['a', 'b', 'c', 'd']);
    expect(await show('w')).toMatchObject({
      documents: 4,
      formats: ['meta', 'txt'],
      documents_by_format: { meta: 4, txt: 4 },
      years: [1900, 1901, 1903, 1999].map((year) => ({ year, documents: 1 })),
    });
    const members = await miner.get(`/api${url}/members`).expect(200);
    expect((members.body as { members: { ref: string }[] }).members.map(({ ref }) => ref)).toEqual([
      'a',
      'b',
      'c',
      'd',
      'e',
      'p',
    ]);
    expect((await finish('w', run).expect(409)).body).toMatchObject({ type: '/problems/ingest-finished' });
  });

  test('a document that was withdrawn comes back as a further revision', async () => {
    await make('back');
    await send('back', [text('a', 1), text('b', 2), text('c', 3)]);
    const run = await begin('back');
    await send('back', [text('a', 1), text('c', 3)], run);
    await finish('back', run).expect(200);
    expect(await send('back', [text('b', 2)])).toMatchObject({ added: 1, changed: 0, unchanged: 0 });
    const found = await miner.post('/api/collections/back/search').send({ query: { term: { ref: 'b' } } });
    const [document] = (found.body as { documents: { url: string }[] }).documents;
    expect((await miner.get(`/api${document?.url ?? ''}`)).body).toMatchObject({ revision: 2, current: true });
    expect(await show('back')).toMatchObject({ documents: 3 });
  });

  test('a source that lacks more than half of the collection withdraws nothing, unless it is said to be right', async () => {
    await make('half');
    await send('half', [text('a', 1), text('b', 2), text('c', 3)]);
    const run = await begin('half');
    const refused = await finish('half', run).expect(409);
    expect(refused.body).toMatchObject({ type: '/problems/withdrawal-too-large', missing: 3, documents: 3 });
    expect(await refs('half')).toEqual(['a', 'b', 'c']);
    expect((await finish('half', run, { withdraw: true, most: true }).expect(200)).body).toMatchObject({
      withdrawn: 3,
    });
    expect(await refs('half')).toEqual([]);
    expect(await show('half')).toMatchObject({ documents: 0, formats: [], documents_by_format: {}, years: [] });
  });

  test('what is refused, and what comes by other ways during a run, is not withdrawn', async () => {
    await make('kept');
    await send('kept', [text('a', 1), text('b', 2), text('c', 3), text('d', 4)]);
    const run = await begin('kept');
    await send('kept', [text('other', 5)]);
    const report = await send('kept', [text('a', 1), { ...text('b', 2), surprise: true }, text('c', 3)], run);
    expect(report.refused).toMatchObject([{ line: 2, ref: 'b' }]);
    expect((await finish('kept', run).expect(200)).body).toMatchObject({ withdrawn: 1 });
    expect(await refs('kept')).toEqual(['a', 'b', 'c', 'other']);
  });

  test('a comparison names what has to be sent, and a ref comes once in a run', async () => {
    await make('cmp');
    await send('cmp', [text('a', 1), text('b', 2)]);
    const stored = await server.parts
      .knex('documents')
      .where({ collection_id: 'cmp' })
      .select<{ ref: string; digest: Buffer }[]>();
    const digest = (ref: string) => stored.find((row) => row.ref === ref)?.digest.toString('hex');
    const run = await begin('cmp');
    const compare = (documents: object[]) =>
      admin.post(`/api/collections/cmp/ingests/${run}/compare`).send({ documents });
    const compared = await compare([
      { ref: 'a', digest: digest('a') },
      { ref: 'b', digest: digest('a') },
      { ref: 'c', digest: digest('a') },
      { ref: 'a', digest: digest('a') },
    ]).expect(200);
    expect(compared.body).toEqual({ unchanged: 1, wanted: ['b', 'c'], duplicates: ['a'] });
    expect((await compare([{ ref: 'a', digest: digest('a') }])).body).toMatchObject({ duplicates: ['a'] });
    const first = await send('cmp', [text('b', 7), text('a', 8)], run);
    expect(first).toMatchObject({ changed: 1, refused: [{ line: 2, ref: 'a' }] });
    expect(await send('cmp', [text('b', 9)], run)).toMatchObject({ changed: 0, refused: [{ line: 1, ref: 'b' }] });
    expect((await compare([{ ref: 'a', digest: 'no' }]).expect(400)).body).toMatchObject({
      type: '/problems/request-invalid',
    });
    expect((await finish('cmp', '999').expect(404)).body).toMatchObject({ type: '/problems/ingest-not-found' });
    expect((await finish('half', run).expect(404)).body).toMatchObject({ type: '/problems/ingest-not-found' });
  });

  test('a run is for admins', async () => {
    await make('closed');
    await miner.post('/api/collections/closed/ingests').expect(403);
    const run = await begin('closed');
    await miner.get(`/api/collections/closed/ingests/${run}`).expect(403);
    expect((await admin.get(`/api/collections/closed/ingests/${run}`).expect(200)).body).toMatchObject({
      finished: null,
    });
  });

  test('metadata have to fit a schema that was given, and the reason names the field', async () => {
    const schema = {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      required: ['title'],
      properties: { year: { type: 'integer', minimum: 1790 }, kind: { enum: ['thesis', 'report'] } },
    };
    await make('strict', { schema });
    const report = await send('strict', [
      { ref: 'good', metadata: { title: 'T', year: 1800, kind: 'thesis' } },
      { ref: 'old', metadata: { title: 'T', year: 1789 } },
      { ref: 'bare', metadata: { year: 'x', kind: 'poem' } },
    ]);
    expect(report).toMatchObject({
      added: 1,
      refused: [
        { line: 2, ref: 'old', reason: 'metadata/year must be >= 1790' },
        {
          line: 3,
          ref: 'bare',
          reason:
            "metadata must have required property 'title'; metadata/kind must be equal to one of the allowed values:" +
            ' "thesis", "report"; metadata/year must be integer',
        },
      ],
    });
    expect((await miner.get('/api/collections/strict/schema')).body).toEqual(schema);
    const changed = await admin.patch('/api/collections/strict').send({ schema: null, licence: 'CC0-1.0' }).expect(200);
    expect(changed.body).toMatchObject({ schema_given: false, licence: 'CC0-1.0' });
    expect(await send('strict', [{ ref: 'old', metadata: { title: 'T', year: 1789 } }])).toMatchObject({ added: 1 });
    await miner.patch('/api/collections/strict').send({ name: 'mine' }).expect(403);
  });

  test.each([
    'http://json-schema.org/draft-04/schema#',
    'http://json-schema.org/draft-06/schema#',
    'http://json-schema.org/draft-07/schema#',
  ])('a schema may be of %s', async ($schema) => {
    const id = `d${/\d\d/.exec($schema)?.[0] ?? ''}`;
    await make(id, { schema: { $schema, type: 'object', properties: { n: { type: 'integer' } } } });
    expect(await send(id, [{ ref: 'a', metadata: { n: 'x' } }])).toMatchObject({
      refused: [{ reason: 'metadata/n must be integer' }],
    });
  });

  test('a schema that cannot be used is refused where it is given', async () => {
    for (const schema of [{ type: 'thing' }, { $ref: 'https://example.org/elsewhere' }]) {
      const refused = await admin.post('/api/collections').send({ id: 'bad', name: 'bad', schema }).expect(400);
      expect(refused.body).toMatchObject({ type: '/problems/request-invalid', errors: [{ pointer: '/schema' }] });
    }
  });

  test('without one, the schema follows from what came', async () => {
    await make('derived');
    await send('derived', [
      { ref: 'a', metadata: { title: 'T', year: 1900, score: 1, tags: ['x'] } },
      { ref: 'b', metadata: { title: null, year: 1901, score: 1.5, open: true } },
    ]);
    expect((await miner.get('/api/collections/derived/schema').expect(200)).body).toMatchObject({
      type: 'object',
      properties: {
        title: { type: ['null', 'string'] },
        year: { type: 'integer' },
        score: { type: 'number' },
        tags: { type: 'array' },
        open: { type: 'boolean' },
      },
    });
  });

  test('a text that is not UTF-8 is refused, and the rest goes on', async () => {
    await make('bytes');
    const latin1 = Buffer.from('Gr\u00fc\u00dfe', 'latin1').toString('base64');
    const report = await send('bytes', [
      { ref: 'a', files: { txt: { base64: latin1 } } },
      { ref: 'b', files: { html: { base64: latin1, media_type: 'text/html; charset=iso-8859-1' } } },
    ]);
    expect(report).toMatchObject({
      added: 1,
      refused: [{ line: 1, ref: 'a', reason: 'files/txt is not valid UTF-8' }],
    });
  });
}
