/** Searching over HTTP: what queries find, and how the answer is ordered, cut into pages, marked and counted. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { fill, type Client, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';
import { onEachSearchEngine } from './on-each-search-engine.js';

interface FoundBody {
  hits: number;
  documents: { id: string; ref: string; title: string | null; score?: number; highlights?: string[] }[];
  facets: Record<string, { buckets: object[]; missing: number; values?: number }>;
  ranked?: object;
  next?: string;
}

const address = (ref: string, metadata: object, text?: string): object => ({
  ref,
  metadata,
  ...(text !== undefined && { files: { txt: { text } } }),
});

const DOCUMENTS = [
  address(
    'adams',
    {
      title: 'Second address',
      creator: 'John Adams',
      date: '1797-11-22',
      year: 1797,
      party: 'Federalist',
      tags: ['navy'],
    },
    'Ships < 5 & the treaty of commerce. Commerce needs a navy.',
  ),
  address(
    'jefferson',
    {
      title: 'First address',
      creator: 'Thomas Jefferson',
      date: '1801',
      year: 1801,
      party: 'Republican',
      tags: ['peace', 'navy'],
    },
    'We are all republicans. Peace, commerce, and honest friendship with all nations.',
  ),
  address(
    'lincoln',
    {
      title: 'On civil rights',
      creator: 'Abraham Lincoln',
      date: '1862-12-01',
      year: '1862',
      party: 'Republican',
      tags: ['war', 'war'],
    },
    'A civil war is upon us. The railroads carry public lands men; rights of the civil law remain.',
  ),
  address(
    'polk',
    { title: 'The railroad message', creator: 'James Polk', date: 'December 1848', party: 'Democratic', tags: [] },
    'Public lands for the railroad. Lands public and private.',
  ),
  address('scan', { title: 'A scan', creator: null, abstract: 'The railroad, on paper only', pages: 12.5, open: true }),
  address('zeta', {}, 'peace'),
];

const ALL = ['adams', 'jefferson', 'lincoln', 'polk', 'scan', 'zeta'];

/** Language of the collection: english. */
const EXAMPLES: [unknown, string[]][] = [
  ['commerce', ['adams', 'jefferson']],
  ['railroads', ['lincoln', 'polk', 'scan']],
  ['"public lands"', ['lincoln', 'polk']],
  ['commerce -peace', ['adams']],
  ['navy or war', ['adams', 'lincoln']],
  [{ match_all: {} }, ALL],
  [{ match: { text: 'commerce war' } }, ['adams', 'jefferson', 'lincoln']],
  [{ match: { text: { query: 'commerce peace', operator: 'and' } } }, ['jefferson']],
  [{ match: { text: { query: 'commerce peace navy', minimum_should_match: 2 } } }, ['adams', 'jefferson']],
  // "the" and "of" are no words to search for: two of two are needed, and not two of four.
  [{ match: { text: { query: 'the treaty of commerce', minimum_should_match: '100%' } } }, ['adams']],
  [{ match: { title: 'addresses' } }, ['adams', 'jefferson']],
  [{ match: { title: 'civil-war' } }, []],
  [{ match: { creator: 'LINCOLN' } }, ['lincoln']],
  [{ match: { tags: 'navy' } }, ['adams', 'jefferson']],
  [{ match: { pages: 12.5 } }, ['scan']],
  [{ match: { open: true } }, ['scan']],
  [{ match: { abstract: 'railroad' } }, ['scan']],
  [{ match: { ref: 'polk' } }, ['polk']],
  [{ match: { text: 'the' } }, []],
  [{ match_phrase: { text: 'public lands' } }, ['lincoln', 'polk']],
  [{ match_phrase: { text: { query: 'lands public', slop: 0 } } }, ['polk']],
  [{ match_phrase: { title: 'civil rights' } }, ['lincoln']],
  // The values of a list are not one text.
  [{ match_phrase: { tags: 'peace navy' } }, []],
  [{ multi_match: { query: 'railroad', fields: ['abstract', 'title^3'] } }, ['polk', 'scan']],
  [{ multi_match: { query: 'civil rights', type: 'phrase', fields: ['title', 'text'] } }, ['lincoln']],
  [{ query_string: { query: 'commerce AND NOT peace' } }, ['adams']],
  [{ query_string: { query: 'navy OR peace' } }, ['adams', 'jefferson', 'zeta']],
  // To Lucene, AND requires both of its sides, and an OR beside it adds nothing.
  [{ query_string: { query: 'navy OR commerce AND peace' } }, ['jefferson']],
  [{ query_string: { query: '+commerce navy' } }, ['adams', 'jefferson']],
  [{ query_string: { query: 'commerce -navy' } }, ['jefferson']],
  [{ query_string: { query: '-commerce' } }, ['lincoln', 'polk', 'scan', 'zeta']],
  [{ query_string: { query: 'commerce navy', default_operator: 'AND' } }, ['adams']],
  [{ query_string: { query: 'title:(civil OR railroad) year:[* TO 1862]', default_operator: 'and' } }, ['lincoln']],
  [{ query_string: { query: 'creator:"john adams"' } }, ['adams']],
  [{ query_string: { query: 'railr*' } }, ['lincoln', 'polk', 'scan']],
  [{ query_string: { query: 'railroad^2 title:addr*' } }, ['adams', 'jefferson', 'lincoln', 'polk', 'scan']],
  [{ query_string: { query: 'year:{1797 TO 1862}' } }, ['jefferson']],
  [{ query_string: { query: 'year:>=1801' } }, ['jefferson', 'lincoln']],
  [{ query_string: { query: 'date:[1801 TO 1862-12]' } }, ['jefferson', 'lincoln']],
  [{ query_string: { query: '_exists_:year' } }, ['adams', 'jefferson', 'lincoln']],
  [{ query_string: { query: 'rights', default_field: 'title' } }, ['lincoln']],
  [{ query_string: { query: 'a\\:b \\(navy\\)' } }, ['adams']],
  [{ query_string: { query: '*' } }, ALL],
  [{ simple_query_string: { query: 'commerce +peace' } }, ['jefferson']],
  [{ simple_query_string: { query: '"public lands" | treaty' } }, ['adams', 'lincoln', 'polk']],
  [{ simple_query_string: { query: 'commerce + -navy' } }, ['jefferson']],
  [{ simple_query_string: { query: 'navy | commerce + peace' } }, ['jefferson']],
  [{ simple_query_string: { query: 'navy | (commerce + peace)' } }, ['adams', 'jefferson']],
  [{ simple_query_string: { query: '+comm* +peace', default_operator: 'and' } }, ['jefferson']],
  [{ term: { party: 'Republican' } }, ['jefferson', 'lincoln']],
  [{ term: { party: 'republican' } }, []],
  [{ term: { year: '1797' } }, ['adams']],
  [{ term: { tags: { value: 'navy' } } }, ['adams', 'jefferson']],
  [{ terms: { party: ['Whig', 'Federalist'] } }, ['adams']],
  [{ terms: { ref: ['zeta', 'polk'] } }, ['polk', 'zeta']],
  [{ terms: { party: [] } }, []],
  [{ range: { year: { gte: 1801, lt: 1900 } } }, ['jefferson', 'lincoln']],
  [{ range: { date: { lte: '1801' } } }, ['adams', 'jefferson']],
  [{ exists: { field: 'tags' } }, ['adams', 'jefferson', 'lincoln']],
  [{ exists: { field: 'creator' } }, ['adams', 'jefferson', 'lincoln', 'polk']],
  [{ exists: { field: 'text' } }, ['adams', 'jefferson', 'lincoln', 'polk', 'zeta']],
  [{ prefix: { creator: 'J' } }, ['adams', 'polk']],
  [{ prefix: { ref: 'je' } }, ['jefferson']],
  [{ bool: { must: { match: { text: 'commerce' } }, must_not: [{ term: { tags: 'peace' } }] } }, ['adams']],
  [
    {
      bool: {
        should: [{ term: { party: 'Republican' } }, { match: { text: 'war' } }, { term: { year: 1801 } }],
        minimum_should_match: '67%',
      },
    },
    ['jefferson', 'lincoln'],
  ],
  // As the web page of the first Adit sends it.
  [{ constant_score: { filter: [{ term: { party: 'Democratic' } }] } }, ['polk']],
];

onEachSearchEngine(searchBehaves);

function searchBehaves(start: () => Promise<FreshApiServer>): void {
  let server: FreshApiServer;
  let miner: Client;
  beforeAll(async () => {
    server = await start();
    miner = server.as(await server.keyOf('Ada'));
    await fill(server, 'c', DOCUMENTS);
  });
  afterAll(() => server.stop());

  const search = async (body: object, collection = 'c'): Promise<FoundBody> =>
    (await miner.post(`/api/collections/${collection}/search`).send(body).expect(200)).body as FoundBody;
  const refsOf = ({ documents }: FoundBody): string[] => documents.map(({ ref }) => ref);

  test.each(EXAMPLES)('%j finds %j', async (query, refs) => {
    const found = await search({ query, limit: 100 });
    expect(refsOf(found)).toEqual(refs);
    expect(found).toMatchObject({ hits: refs.length, facets: {} });
    expect(found).not.toHaveProperty('next');
    // Whoever searches may rank and mark: that must never fail where the search itself does not.
    const ranked = await search({ query, limit: 100, sort: 'relevance', highlight: true });
    expect(refsOf(ranked).sort()).toEqual(refs);
  });

  test('a docset has what the search of the same query finds', async () => {
    const query = { query_string: { query: 'commerce OR title:railroad' } };
    const docset = await miner.post('/api/docsets').send({ query }).expect(201);
    const { url } = docset.body as { url: string };
    const response = await miner.get(`/api${url}/members`).expect(200);
    const members = (response.body as { members: { ref: string }[] }).members.map(({ ref }) => ref);
    expect(members).toEqual(refsOf(await search({ query })));
    expect(members).toEqual(['adams', 'jefferson', 'polk']);
  });

  test('ids are those that a search answers', async () => {
    const { documents } = await search({ query: 'peace' });
    const found = await search({ query: { ids: { values: documents.map(({ id }) => id) } } });
    expect(found.documents).toEqual(documents);
  });

  test('a collection tells its fields and years, and how many documents it has', async () => {
    expect((await miner.get('/api/collections/c').expect(200)).body).toMatchObject({
      documents: 6,
      fields: ['abstract', 'creator', 'date', 'open', 'pages', 'party', 'tags', 'title', 'year'],
      years: [1797, 1801, 1848, 1862].map((year) => ({ year, documents: 1 })),
    });
    expect((await miner.get('/api/collections').expect(200)).body).toEqual(
      expect.arrayContaining([{ url: '/collections/c', id: 'c', name: 'c', description: null, documents: 6 }]),
    );
  });

  test('facets count the documents that match, each once for each of its values', async () => {
    const facets = {
      parties: { terms: { field: 'party' } },
      tags: { terms: { field: 'tags', size: 1 } },
      years: { years: {} },
      centuries: { years: { interval: 100 } },
      halves: { histogram: { field: 'year', interval: 50 } },
      ages: { ranges: { field: 'year', ranges: [{ to: 1800 }, { from: 1800, to: 1862 }, { from: 1801 }] } },
    };
    const { hits, documents, facets: found } = await search({ query: { match_all: {} }, facets, limit: 0 });
    expect({ hits, documents }).toEqual({ hits: 6, documents: [] });
    expect(found).toEqual({
      parties: {
        buckets: [
          { key: 'Republican', count: 2 },
          { key: 'Democratic', count: 1 },
          { key: 'Federalist', count: 1 },
        ],
        values: 3,
        missing: 2,
      },
      tags: { buckets: [{ key: 'navy', count: 2 }], values: 3, missing: 3 },
      years: { buckets: [1797, 1801, 1848, 1862].map((key) => ({ key, count: 1 })), missing: 2 },
      centuries: {
        buckets: [
          { key: 1700, count: 1 },
          { key: 1800, count: 3 },
        ],
        missing: 2,
      },
      halves: {
        buckets: [
          { key: 1750, count: 1 },
          { key: 1800, count: 1 },
          { key: 1850, count: 1 },
        ],
        missing: 3,
      },
      ages: {
        buckets: [
          { to: 1800, count: 1 },
          { from: 1800, to: 1862, count: 1 },
          { from: 1801, count: 2 },
        ],
        missing: 3,
      },
    });
    const narrow = await search({ query: 'commerce', facets: { tags: facets.tags }, limit: 1 });
    expect(narrow).toMatchObject({ hits: 2, facets: { tags: { buckets: [{ key: 'navy', count: 2 }], missing: 0 } } });
    const none = await search({ query: 'nothingness', facets });
    expect(none.facets['parties']).toEqual({ buckets: [], values: 0, missing: 0 });
  });

  test.each(['ref', '-ref', 'date', '-date', 'title', '-title', 'relevance'])(
    'pages in the order of %s fit together',
    async (sort) => {
      const query = { bool: { must: { match_all: {} }, should: { match: { text: 'peace navy railroad' } } } };
      const whole = await search({ query, sort });
      expect(refsOf(whole).sort()).toEqual(ALL);
      const pages: string[] = [];
      let cursor: string | undefined;
      do {
        const page = await search({ query, sort, limit: 2, ...(cursor !== undefined && { cursor }) });
        expect(page.hits).toBe(6);
        pages.push(...refsOf(page));
        cursor = page.next;
      } while (cursor !== undefined);
      const inOrder = refsOf(await search({ query, sort }));
      expect(pages).toEqual(inOrder);
      for (const skip of [0, 1, 3, 5, 6, 7]) {
        const page = await search({ query, sort, limit: 2, skip });
        expect({ skip, hits: page.hits, refs: refsOf(page), more: page.next !== undefined }).toEqual({
          skip,
          hits: 6,
          refs: inOrder.slice(skip, skip + 2),
          more: skip + 2 < 6,
        });
      }
      const { next = '' } = await search({ query, sort, limit: 2, skip: 1 });
      expect(refsOf(await search({ query, sort, limit: 2, cursor: next, skip: 1 }))).toEqual(inOrder.slice(4, 6));
    },
  );

  test('documents come in the wanted order, those without a key last', async () => {
    const refsBy = async (sort: string) => refsOf(await search({ query: { match_all: {} }, sort }));
    expect(await refsBy('-ref')).toEqual([...ALL].reverse());
    expect(await refsBy('date')).toEqual(['adams', 'jefferson', 'lincoln', 'polk', 'scan', 'zeta']);
    expect(await refsBy('-date')).toEqual(['polk', 'lincoln', 'jefferson', 'adams', 'scan', 'zeta']);
    expect(await refsBy('title')).toEqual(['scan', 'jefferson', 'lincoln', 'adams', 'polk', 'zeta']);
  });

  test('what has the word in its title is more relevant than what has it in its text', async () => {
    const { documents, ranked } = await search({ query: 'railroad', sort: 'relevance' });
    expect(documents[0]?.ref).toBe('polk');
    expect(ranked).toEqual({ candidates: 3, of: 3 });
    expect(documents.map(({ score }) => score)).toEqual(
      documents.map(({ score }) => score).toSorted((one, other) => Number(other) - Number(one)),
    );
    // A filter decides what is there, a boost which comes first.
    const boosted = await search({
      query: {
        bool: {
          should: [{ match: { title: { query: 'civil', boost: 50 } } }, { match: { title: 'railroad' } }],
          filter: { exists: { field: 'tags' } },
        },
      },
      sort: 'relevance',
    });
    expect(refsOf(boosted)).toEqual(['lincoln', 'adams', 'jefferson']);
    expect(boosted.documents[1]?.score).toBe(0);
  });

  test('a cursor is good for its own search only', async () => {
    const { next = '' } = await search({ query: 'commerce', limit: 1 });
    const refused = [
      { query: 'commerce', cursor: 'x' },
      { query: 'peace', cursor: next },
      { query: 'commerce', sort: 'date', cursor: next },
      { query: 'commerce', cursor: Buffer.from('["a",null]').toString('base64url') },
      { query: 'commerce', cursor: Buffer.from('["a",null,"\\u0000"]').toString('base64url') },
    ];
    for (const body of refused) {
      const response = await miner.post('/api/collections/c/search').send(body).expect(400);
      expect(response.body).toMatchObject({ type: '/problems/cursor-invalid' });
    }
    const [print] = JSON.parse(Buffer.from(next, 'base64url').toString()) as string[];
    const forged = Buffer.from(JSON.stringify([print, 7, 'adams'])).toString('base64url');
    await miner.post('/api/collections/c/search').send({ query: 'commerce', cursor: forged }).expect(400);
  });

  test('a query and a facet may name members of objects, and of objects in lists', async () => {
    await fill(server, 'papers', [
      address('one', { authors: [{ name: 'Curie', born: { year: 1867 } }, { name: 'Meitner' }], 'dc.title': 'Rays' }),
      address('two', { authors: { name: 'Noether', born: { year: '1882' } } }),
    ]);
    const found = async (query: unknown) => refsOf(await search({ query }, 'papers'));
    expect(await found({ term: { 'authors.name': 'Meitner' } })).toEqual(['one']);
    expect(await found({ match: { 'authors.name': 'noether curie' } })).toEqual(['one', 'two']);
    expect(await found({ range: { 'authors.born.year': { gt: 1870 } } })).toEqual(['two']);
    expect(await found({ query_string: { query: 'authors.name:curie AND dc.title:rays' } })).toEqual(['one']);
    const facets = { names: { terms: { field: 'authors.name' } } };
    expect((await search({ query: { match_all: {} }, facets }, 'papers')).facets['names']).toMatchObject({
      buckets: ['Curie', 'Meitner', 'Noether'].map((key) => ({ key, count: 1 })),
      missing: 0,
    });
    expect((await miner.get('/api/collections/papers').expect(200)).body).toMatchObject({
      fields: ['authors', 'authors.born', 'authors.born.year', 'authors.name', 'dc.title']
        .concat(['creator', 'date', 'title'])
        .sort(),
    });
    await miner
      .post('/api/collections/papers/search')
      .send({ query: { exists: { field: 'authors.nmae' } } })
      .expect(400);
  });

  test('highlights are HTML in which only the words are marked', async () => {
    const { documents } = await search({ query: { match: { text: 'navy peace' } }, highlight: true });
    const highlights = Object.fromEntries(documents.map((each) => [each.ref, each.highlights?.join(' … ')]));
    expect(highlights['adams']).toBe('Ships &lt; 5 &amp; the treaty of commerce. Commerce needs a <em>navy</em>');
    expect(highlights['zeta']).toBe('<em>peace</em>');
    // Only its title has the word, or it has no text.
    const titles = await search({ query: 'message or scan or paper', highlight: true });
    expect(titles.documents.map(({ highlights }) => highlights)).toEqual([[], []]);
    const none = await search({ query: { match_all: {} }, highlight: true });
    expect(none.documents.every(({ highlights }) => highlights?.length === 0)).toBe(true);
    const forbidden = await search({ query: 'commerce -war "honest friendship"', highlight: true });
    expect(forbidden.documents[0]?.highlights?.[0]).toMatch(/<em>commerce<\/em>, and <em>honest<\/em> <em>friendship/);
  });

  test('a text that is damaged has no highlights, and the search goes on', async () => {
    await server.parts
      .knex('files')
      .where({ format: 'txt' })
      .update({ stored_sha256: '0'.repeat(64) });
    const { hits, documents } = await search({ query: 'commerce', highlight: true });
    expect(hits).toBe(2);
    expect(documents.map(({ highlights }) => highlights)).toEqual([[], []]);
    expect(server.logged()).toContain('a text cannot be searched for highlights');
  });

  test.each([
    [{ query: 'a', facets: { f: { terms: { field: 'colour' } } } }, '/facets/f/terms/field'],
    [{ query: 'a', facets: { f: { terms: { field: 'text' } } } }, '/facets/f/terms/field'],
    [{ query: { match_all: {} }, facets: { 'a/b': { histogram: { field: 'pages', interval: 1e-6 } } } }, undefined],
    [{ query: { term: { colour: 'red' } } }, '/query/term/colour'],
  ])('%j is answered 400 with a pointer, or is no fault', async (body, pointer) => {
    const response = await miner.post('/api/collections/c/search').send(body);
    expect(response.status).toBe(pointer === undefined ? 200 : 400);
    if (pointer === undefined) return;
    expect(response.body).toMatchObject({ type: '/problems/query-not-supported', errors: [{ pointer }] });
  });

  test.each([
    { query: 'a', facets: { f: {} } },
    { query: 'a', facets: { f: { terms: { field: 'x' }, years: {} } } },
    { query: 'a', facets: { f: { median: { field: 'x' } } } },
    { query: 'a', sort: 'author' },
    { query: 'a', limit: 101 },
    { query: 'a', highlight: 'yes' },
  ])('%j does not fit the description', async (body) => {
    const response = await miner.post('/api/collections/c/search').send(body).expect(400);
    expect(response.body).toMatchObject({ type: '/problems/request-invalid' });
  });

  test('a histogram of too many steps is refused', async () => {
    const documents = [0, ...Array.from({ length: 1_001 }, (_, index) => index)];
    await fill(
      server,
      'steps',
      documents.map((size, index) => ({ ref: `s${index}`, metadata: { size } })),
    );
    const histogram = (interval: number) => ({ facets: { f: { histogram: { field: 'size', interval } } } });
    const response = await miner
      .post('/api/collections/steps/search')
      .send({ query: { match_all: {} }, ...histogram(1) })
      .expect(400);
    expect(response.body).toMatchObject({ errors: [{ pointer: '/facets/f/histogram/interval' }] });
    const { facets } = await search({ query: { match_all: {} }, ...histogram(100), limit: 0 }, 'steps');
    expect(facets['f']?.buckets).toHaveLength(11);
    expect(facets['f']?.buckets[0]).toEqual({ key: 0, count: 101 });
  });

  test('metadata that are too large for the index are searched all the same', async () => {
    const words = Array.from({ length: 17_000 }, (_, index) => `w${index}`).join(' ');
    await fill(server, 'large', [
      { ref: 'a', metadata: { notes: `beginning ${words}`, keyword: 'kept' } },
      { ref: 'b', metadata: { notes: 'short beginning', keyword: 'lost' } },
    ]);
    const rows = await server.parts.knex('documents').where({ collection_id: 'large' }).whereNull('metadata_tsv');
    expect(rows).toHaveLength(1);
    expect(refsOf(await search({ query: { match: { keyword: 'kept' } } }, 'large'))).toEqual(['a']);
    expect(refsOf(await search({ query: { match: { notes: 'beginning' } } }, 'large'))).toEqual(['a', 'b']);
    expect(refsOf(await search({ query: { match: { notes: 'w14000' } } }, 'large'))).toEqual(['a']);
  });
}

/** What ranks has no such limit where it is a search engine. */
onEachDatabase((start) => {
  let server: FreshApiServer;
  beforeAll(async () => {
    server = await start();
  });
  afterAll(() => server.stop());

  test('of very many hits, a stated number is ranked', async () => {
    await fill(server, 'many', [{ ref: 'zz', metadata: { title: 'word' } }]);
    await server.parts.knex.raw(
      `insert into documents (collection_id, ref, revision, current, digest, title, metadata, tsv, metadata_tsv)
       select 'many', 'r' || number, 1, true, '', 'word', '{}', to_tsvector('english', 'word'), ''
       from generate_series(1, 5000) as number`,
    );
    const miner = server.as(await server.keyOf('Ada'));
    const found = await miner
      .post('/api/collections/many/search')
      .send({ query: 'word', sort: 'relevance' })
      .expect(200);
    expect(found.body).toMatchObject({ hits: 5001, ranked: { candidates: 5000, of: 5001 } });
  });
});
