/** The query compiler against an evaluator that is too slow to be wrong, on documents and queries made up by fast-check. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { findCollection } from '../../api-server/collections/collections.js';
import { compileQuery } from '../../api-server/collections/query/compile-query.js';
import { fill, type FreshApiServer } from './fresh-api-server.js';
import { onEachSearchEngine } from './on-each-search-engine.js';

type Scalar = string | number | boolean;
type Leaf = Scalar | null | Scalar[];
type Value = Leaf | Inner | Inner[];
type Inner = Leaf | { [name: string]: Value };
interface Doc {
  ref: string;
  metadata: Record<string, Value>;
  files?: { txt: { text: string } };
}

/** Fields of objects, and of objects in lists. The metadata have members with a dot in their names, too. */
const NESTED = [
  ['people', 'name'],
  ['people', 'bio'],
  ['people', 'born', 'o\'dd "place"?'],
  ['a.b', 'c'],
];
const VALUES = ['year', 'tag', 'o\'dd "name"?'];
const FIELDS = [...VALUES, 'people', 'people.name', 'people.born.o\'dd "place"?', 'a.b', 'a.b.c'];
const WORDS = ['alpha', 'alphabet', 'beta', 'gamma'];
/** Fields whose words are searched; `text` has the words of the title and of the text. */
const WORDY = ['text', 'title', 'subject', 'people.bio'];
const SEARCHABLE = {
  language: 'simple',
  fields: [...VALUES, 'people', 'a.b', 'title', 'subject', 'absent'],
  nested: NESTED,
};
const scalar = fc.constantFrom<Scalar>(
  ...[
    0,
    1,
    2,
    10,
    1899,
    1900,
    -1,
    1.5,
    1e21,
    '0',
    '1',
    '10',
    '01',
    '1.5',
    '1900',
    '1899-12-31',
    '1900-01',
    '1900-01-01T10:00',
  ],
  ...['1900x', 'a', 'B', 'é', '～', '😀', '', '?', "'; drop table documents --", '%', '\\', 'true', true, false],
);
const value = fc.oneof(scalar, scalar, fc.constant(null), fc.array(scalar, { maxLength: 3 }));
const word = fc.constantFrom(...WORDS);
const wordsOf = (maxLength: number) => fc.array(word, { minLength: 1, maxLength }).map((words) => words.join(' '));
const listed = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | T[]> => fc.oneof(one, fc.array(one, { maxLength: 3 }));
const person = fc.record(
  {
    name: value,
    bio: listed(wordsOf(3)),
    born: listed(fc.oneof(value, fc.record({ 'o\'dd "place"?': value }, { requiredKeys: [] }))),
  },
  { requiredKeys: [] },
);
const doc = fc
  .tuple(
    fc.dictionary(fc.constantFrom(...VALUES), value),
    fc.record(
      {
        people: listed(fc.oneof({ weight: 4, arbitrary: person }, scalar)),
        'a.b': fc.oneof(value, fc.record({ c: value })),
      },
      { requiredKeys: [] },
    ),
    fc.record(
      { title: wordsOf(3), subject: fc.oneof(wordsOf(4), fc.array(wordsOf(3), { maxLength: 3 })) },
      { requiredKeys: [] },
    ),
    fc.option(wordsOf(6)),
  )
  .map(([scalars, objects, words, text]) => ({
    metadata: { ...scalars, ...objects, ...words },
    ...(text !== null && { files: { txt: { text } } }),
  }));
const docs = fc.array(doc, { minLength: 60, maxLength: 60 });

const bound = scalar.filter((each) => typeof each !== 'boolean');
const range = fc
  .record({ gt: bound, gte: bound, lt: bound, lte: bound }, { requiredKeys: [] })
  .filter((bounds) => Object.keys(bounds).length > 0);
const field = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...FIELDS) }, fc.constantFrom('ref', 'absent'));
const wordy = fc.constantFrom(...WORDY);
const minimum = fc.constantFrom<number | string>(0, 1, 2, 3, -1, '50%', '67%', '-34%', '100%');
const occurrence = fc.record({
  conjunction: fc.constantFrom('', '', ' AND', ' OR', ' ||', ' &&'),
  modifier: fc.constantFrom('', '', '', '+', '-', 'NOT '),
  leaf: fc.oneof(
    fc.tuple(
      fc.constantFrom('', 'title:', 'subject:'),
      fc.oneof(
        word,
        wordsOf(2).map((words) => `"${words}"`),
      ),
    ),
    fc.tuple(fc.constantFrom('', 'title:', 'subject:'), fc.constantFrom('alph*', 'be*', 'x*')),
    fc.constantFrom(['year:', '[1 TO 1900}'], ['year:', '>=10'], ['_exists_:', 'tag'], ['', '*'], ['title:', '*']),
  ),
});
const operator = fc.constantFrom('and', 'or', 'AND', undefined);
/** What is written out as a query string, in the one language and in the other. */
const sequence = fc.tuple(fc.array(occurrence, { minLength: 1, maxLength: 4 }), operator);
const written = new Map<string, [Occurrence[], string | undefined]>();
type Occurrence = { conjunction: string; modifier: string; leaf: [string, string] };
const queryString = sequence.map(([list, byDefault]) => {
  const parts = list.map(({ conjunction, modifier, leaf }, index) =>
    [index === 0 ? '' : conjunction, ' ', modifier, ...leaf].join(''),
  );
  const content = { query: parts.join('').trim(), ...(byDefault !== undefined && { default_operator: byDefault }) };
  written.set(JSON.stringify(content), [list as Occurrence[], byDefault]);
  return { query_string: content };
});
const simpleQueryString = fc
  .tuple(
    fc.array(
      fc.record({
        conjunction: fc.constantFrom(' ', ' + ', ' | '),
        modifier: fc.constantFrom('', '', '-'),
        leaf: fc
          .oneof(
            word,
            wordsOf(2).map((words) => `"${words}"`),
            fc.constant('alph*'),
          )
          .map((leaf) => ['', leaf]),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    operator,
  )
  .map(([list, byDefault]) => {
    const parts = list.map(({ conjunction, modifier, leaf }, index) =>
      [index === 0 ? '' : conjunction, modifier, ...leaf].join(''),
    );
    const content = { query: parts.join(''), ...(byDefault !== undefined && { default_operator: byDefault }) };
    written.set(`simple ${JSON.stringify(content)}`, [list as Occurrence[], byDefault]);
    return { simple_query_string: content };
  });
const wordQuery = fc.oneof(
  fc.tuple(wordy, wordsOf(3)).map(([name, words]) => ({ match: { [name]: words } })),
  fc
    .tuple(wordy, wordsOf(3), fc.constantFrom('and', 'or'))
    .map(([name, query, by]) => ({ match: { [name]: { query, operator: by, boost: 2 } } })),
  fc
    .tuple(wordy, wordsOf(4), minimum)
    .map(([name, query, minimum_should_match]) => ({ match: { [name]: { query, minimum_should_match } } })),
  fc.tuple(wordy, wordsOf(3)).map(([name, words]) => ({ match_phrase: { [name]: words } })),
  fc
    .record(
      {
        query: wordsOf(3),
        fields: fc.uniqueArray(wordy, { minLength: 1 }),
        type: fc.constantFrom('phrase', 'best_fields', 'most_fields'),
        operator: fc.constantFrom('and', 'or'),
      },
      { requiredKeys: ['query'] },
    )
    .map((content) => ({ multi_match: content })),
  queryString,
  simpleQueryString,
);
const { query } = fc.letrec<{ query: object; clauses: object }>((tie) => ({
  clauses: fc.oneof(tie('query'), fc.array(tie('query'), { maxLength: 3 })),
  query: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'query' },
    fc.tuple(field, scalar).map(([name, term]) => ({ term: { [name]: term } })),
    fc.tuple(field, scalar).map(([name, term]) => ({ term: { [name]: { value: term, boost: 2 } } })),
    fc.tuple(field, range).map(([name, bounds]) => ({ range: { [name]: bounds } })),
    { weight: 4, arbitrary: wordQuery },
    fc.tuple(field, fc.array(scalar, { maxLength: 3 })).map(([name, list]) => ({ terms: { [name]: list } })),
    fc
      .tuple(field, fc.constantFrom('', '1', '19', 'a', 'r1', '%', '\\'))
      .map(([name, text]) => ({ prefix: { [name]: text } })),
    fc.oneof(field, wordy).map((name) => ({ exists: { field: name } })),
    fc.array(fc.integer({ min: 1, max: 60 }), { maxLength: 3 }).map((values) => ({ ids: { values } })),
    fc.constant({ match_all: {} }),
    fc.record({ constant_score: fc.record({ filter: tie('clauses') }) }),
    fc.record({
      bool: fc.record(
        {
          must: tie('clauses'),
          filter: tie('clauses'),
          should: tie('clauses'),
          must_not: tie('clauses'),
          minimum_should_match: minimum,
        },
        { requiredKeys: [] },
      ),
    }),
  ),
}));

onEachSearchEngine((start, runs) => {
  let server: FreshApiServer;
  let documents: Doc[];
  beforeAll(async () => {
    server = await start();
    const [made] = fc.sample(docs, { numRuns: 1, seed: 2017 });
    documents = (made ?? []).map((each, index) => ({ ref: `r${index}`, ...each }));
    await fill(server, 'c', documents, { language: 'simple' });
    // What an `ids` of the generated queries means.
    const rows = await server.parts.knex('documents').orderBy('id').select<{ id: string; ref: string }[]>('id', 'ref');
    expect(rows).toEqual(documents.map(({ ref }, index) => ({ id: String(index + 1), ref })));
  });
  afterAll(() => server.stop());

  test('a query finds what it says, and its complement the rest', async () => {
    await fc.assert(
      fc.asyncProperty(query, async (tree) => {
        const expected = documents.filter((document) => matches(tree, document)).map(({ ref }) => ref);
        expect(await find(server, tree)).toEqual(expected.sort());
        const others = await find(server, { bool: { must_not: tree } });
        expect(others.length).toBe(documents.length - expected.length);
      }),
      { numRuns: runs },
    );
  });

  test('a text is searched as on the web', async () => {
    const words = ['alpha', 'beta', 'gamma', 'delta'];
    const texts = fc.sample(fc.array(fc.constantFrom(...words), { maxLength: 6 }), { numRuns: 40, seed: 2017 });
    const entries = texts.map((text, index) => ({ ref: `t${index}`, files: { txt: { text: text.join(' ') } } }));
    await fill(server, 'texts', entries);
    const word = fc.constantFrom(...words);
    const part = fc.oneof(
      word.map((one) => ({ text: one, matches: (found: string[]) => found.includes(one) })),
      word.map((one) => ({ text: `-${one}`, matches: (found: string[]) => !found.includes(one) })),
      fc.tuple(word, word).map(([one, two]) => ({
        text: `"${one} ${two}"`,
        matches: (found: string[]) => found.some((each, index) => each === one && found[index + 1] === two),
      })),
    );
    const clauseName = fc.constantFrom('must', 'filter', 'should', 'must_not');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), clauseName, async (parts, clause) => {
        const expected = texts.flatMap((text, index) =>
          parts.every((each) => each.matches(text)) ? [`t${index}`] : [],
        );
        const text = parts.map((each) => each.text).join(' ');
        expect(await find(server, text, 'texts')).toEqual(expected.sort());
        // It may stand wherever a clause may.
        const all = texts.map((_, index) => `t${index}`);
        const within = clause === 'must_not' ? all.filter((ref) => !expected.includes(ref)) : expected;
        expect(await find(server, { bool: { [clause]: text } }, 'texts')).toEqual(within.sort());
      }),
      { numRuns: 100 },
    );
  });

  test('no text breaks the search', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'grapheme', minLength: 1 }), async (text) => {
        fc.pre(text.trim() !== '' && !text.includes('\0') && text.length < 1000);
        await find(server, text);
      }),
      { numRuns: 200 },
    );
  });
});

test('nothing of a query comes into the SQL but placeholders', () => {
  fc.assert(
    fc.property(query, (tree) => {
      const { sql, bindings } = compileQuery(tree, SEARCHABLE);
      expect(sql).not.toMatch(/drop|😀|o'dd|1899|alpha|beta|subject/);
      expect(sql.split('?').length - 1).toBe(bindings.length);
    }),
  );
});

const many = <T>(length: number, each: T): T[] => Array.from({ length }, () => each);

test.each([
  [{ fuzzy: { tag: 'b' } }, '/query/fuzzy'],
  [{ toString: {} }, '/query/toString'],
  [{}, '/query'],
  [{ term: { tag: 1 }, range: { tag: { gt: 1 } } }, '/query'],
  [[], '/query'],
  [null, '/query'],
  [' ', '/query'],
  [{ match_all: { x: 1 } }, '/query/match_all/x'],
  [{ match_all: { boost: -1 } }, '/query/match_all/boost'],
  [{ match: 'a' }, '/query/match'],
  [{ match: { unknown: 'a' } }, '/query/match/unknown'],
  [{ match: { title: ' ' } }, '/query/match/title'],
  [{ match: { title: ['a'] } }, '/query/match/title'],
  [{ match: { title: { query: 'a', fuzziness: 'AUTO' } } }, '/query/match/title/fuzziness'],
  [{ match: { title: { query: 'a', operator: 'xor' } } }, '/query/match/title/operator'],
  [{ match: { title: { query: 'a', minimum_should_match: '2<75%' } } }, '/query/match/title/minimum_should_match'],
  [
    { match: { title: { query: 'a b', operator: 'and', minimum_should_match: 1 } } },
    '/query/match/title/minimum_should_match',
  ],
  [{ match: { title: { operator: 'and' } } }, '/query/match/title/query'],
  [{ match: { title: 'a'.repeat(1001) } }, '/query/match/title'],
  [{ match_phrase: { title: { query: 'a b', slop: 1 } } }, '/query/match_phrase/title/slop'],
  [{ multi_match: { query: 'a', fields: [] } }, '/query/multi_match/fields'],
  [{ multi_match: { query: 'a', fields: ['title', 'x^2'] } }, '/query/multi_match/fields/1'],
  [{ multi_match: { query: 'a', type: 'cross_fields' } }, '/query/multi_match/type'],
  [{ multi_match: { query: 'a', type: 'phrase', minimum_should_match: 1 } }, '/query/multi_match/minimum_should_match'],
  [{ term: { tag: null } }, '/query/term/tag'],
  [{ term: { tag: [1] } }, '/query/term/tag'],
  [{ term: { tag: Infinity } }, '/query/term/tag'],
  [{ term: { tag: { value: 1, case_insensitive: true } } }, '/query/term/tag/case_insensitive'],
  [{ term: { unknown: 1 } }, '/query/term/unknown'],
  [{ term: { text: 'a' } }, '/query/term/text'],
  [{ terms: { tag: 'a' } }, '/query/terms/tag'],
  [{ terms: { tag: ['a', null] } }, '/query/terms/tag/1'],
  [{ terms: { tag: many(1001, 'a') } }, '/query/terms/tag'],
  [{ terms: { tag: ['a'], title: ['b'] } }, '/query/terms'],
  [{ range: { 'a/b': { gt: 1 } } }, '/query/range/a~1b'],
  [{ range: { tag: { gt: true } } }, '/query/range/tag/gt'],
  [{ range: { tag: { gte: 'now-1y' } } }, '/query/range/tag/gte'],
  [{ range: { tag: { lt: '2020-01-01||/M' } } }, '/query/range/tag/lt'],
  [{ range: { tag: {} } }, '/query/range/tag'],
  [{ range: { tag: { gt: 1, format: 'yyyy' } } }, '/query/range/tag/format'],
  [{ exists: { field: 'unknown' } }, '/query/exists/field'],
  [{ exists: 'tag' }, '/query/exists'],
  [{ ids: { values: ['r1'] } }, '/query/ids/values/0'],
  [{ ids: { values: 1 } }, '/query/ids/values'],
  [{ ids: { values: [1], type: 'x' } }, '/query/ids/type'],
  [{ prefix: { tag: 1 } }, '/query/prefix/tag'],
  [{ prefix: { tag: { value: 'a', rewrite: 'x' } } }, '/query/prefix/tag/rewrite'],
  [{ constant_score: {} }, '/query/constant_score'],
  [{ bool: { must: 1 } }, '/query/bool/must'],
  [{ bool: { must: ' ' } }, '/query/bool/must'],
  [{ bool: { filter: ['a', ''] } }, '/query/bool/filter/1'],
  [{ bool: { must: many(6, many(200, 'a').join(' ')) } }, '/query/bool/must/4'],
  [{ bool: { should: [{ match_all: {} }], minimum_should_match: 1.5 } }, '/query/bool/minimum_should_match'],
  [{ bool: { must: many(1001, { match_all: {} }) } }, '/query/bool/must/999'],
  [{ bool: { must: many(6, { match: { text: many(200, 'a').join(' ') } }) } }, '/query/bool/must/4/match'],
  ...['a AND', 'AND a', '(a', 'a)', 'a~1', '"a b"~2', '/a/', 'a?b', '*a', 'a^x', '+', 'title:', 'unknown:a', '""'].map(
    (text) => [{ query_string: { query: text } }, '/query/query_string/query'] as const,
  ),
  ...['title:(unknown:a)', 'year:[now-1d TO *]', '('.repeat(30) + 'a' + ')'.repeat(30), '"a'].map(
    (text) => [{ query_string: { query: text } }, '/query/query_string/query'] as const,
  ),
  [{ query_string: { query: 'a', default_field: 'x' } }, '/query/query_string/default_field'],
  [{ query_string: { query: 'a', default_field: 'tag', fields: ['tag'] } }, '/query/query_string/default_field'],
  [{ query_string: { query: 'a', fuzziness: 1 } }, '/query/query_string/fuzziness'],
  ...['| a', 'a |', '(a', 'a)', 'a~1', '"a b"~2', 'a*b', '-', '""', '"a'].map(
    (text) => [{ simple_query_string: { query: text } }, '/query/simple_query_string/query'] as const,
  ),
  [{ simple_query_string: { query: 'a', flags: 'ALL' } }, '/query/simple_query_string/flags'],
] as [unknown, string][])('%j is refused with a pointer to %s', (tree, pointer) => {
  expect(() => compileQuery(tree, SEARCHABLE)).toThrow(
    expect.objectContaining({
      slug: 'query-not-supported',
      extras: { errors: [expect.objectContaining({ pointer })] },
    }),
  );
});

async function find(server: FreshApiServer, tree: unknown, collection = 'c'): Promise<string[]> {
  const { knex, searchEngine } = server.parts;
  const wish = { searchable: SEARCHABLE, facets: {}, sort: 'ref', after: undefined, skip: 0, limit: 100 } as const;
  const compiled = compileQuery(tree, SEARCHABLE);
  const { hits, page } = await searchEngine.find(await findCollection(knex, collection), { ...wish, compiled });
  expect(page.length).toBe(hits);
  return page.map(({ ref }) => ref);
}

test('a member of an object that no document has is refused, too', () => {
  expect(() => compileQuery({ exists: { field: 'people.nmae' } }, SEARCHABLE)).toThrow(
    'The collection has no field "people.nmae". There are: text, ref, a.b, a.b.c, absent,',
  );
});

test('a field that is not there is refused with those that are', () => {
  expect(() =>
    compileQuery({ term: { color: 'red' } }, { language: 'simple', fields: ['colour'], nested: [] }),
  ).toThrow('/query/term/color: The collection has no field "color". There are: text, ref, colour.');
});

type Tree = Record<string, Record<string, unknown>>;

function matches(node: object, document: Doc): boolean {
  const [[clause, content] = ['', {}]] = Object.entries(node as Tree);
  const [[name, inner] = ['', undefined]] = Object.entries(content);
  const found = name === 'ref' ? [document.ref] : valuesOf(name, document);
  const values = found.filter((each): each is Scalar => typeof each !== 'object');
  const list = (tree: unknown) => (tree === undefined ? [] : [tree].flat()) as object[];
  switch (clause) {
    case 'match_all':
      return true;
    case 'term': {
      const wanted = (typeof inner === 'object' ? (inner as { value: Scalar }).value : inner) as Scalar;
      return values.some((each) => isSame(each, wanted));
    }
    case 'range':
      return values.some(
        (each) => typeof each !== 'boolean' && isWithin(each, inner as Record<string, string | number>),
      );
    case 'terms':
      return values.some((each) => (inner as Scalar[]).some((wanted) => isSame(each, wanted)));
    case 'prefix':
      return values.some((each) => typeof each !== 'boolean' && spell(each).startsWith(inner as string));
    case 'exists':
      return hasValue(String(inner), document);
    case 'ids':
      return (inner as number[]).includes(Number(document.ref.slice(1)) + 1);
    case 'match':
      return hasWords(name, typeof inner === 'string' ? { query: inner } : (inner as WordQuery), document);
    case 'match_phrase':
      return hasWords(name, { query: inner as string, type: 'phrase' }, document);
    case 'multi_match':
      return ((content['fields'] as string[] | undefined) ?? ['text']).some((each) =>
        hasWords(each, content as unknown as WordQuery, document),
      );
    case 'query_string': {
      const [occurrences, byDefault] = written.get(JSON.stringify(content)) ?? [[], undefined];
      return matchesClassic(occurrences, byDefault?.toLowerCase() === 'and', document);
    }
    case 'simple_query_string': {
      const [occurrences, byDefault] = written.get(`simple ${JSON.stringify(content)}`) ?? [[], undefined];
      return matchesSimple(occurrences, byDefault?.toLowerCase() === 'and', document);
    }
    case 'constant_score':
      return list(content['filter']).every((each) => matches(each, document));
    default: {
      const should = list(content['should']);
      const required = [...list(content['must']), ...list(content['filter'])];
      const given = content['minimum_should_match'] as number | string | undefined;
      const minimum =
        given === undefined ? Number(required.length === 0 && should.length > 0) : needed(given, should.length);
      return (
        required.every((each) => matches(each, document)) &&
        !list(content['must_not']).some((each) => matches(each, document)) &&
        should.filter((each) => matches(each, document)).length >= minimum
      );
    }
  }
}

/** All values of a field, as they are in lists one by one; those of an object in a list are the document's. */
function valuesOf(name: string, { metadata }: Doc): Inner[] {
  const path = NESTED.find((each) => each.join('.') === name) ?? [name];
  return path.reduce<Inner[]>(
    (inner, step) =>
      inner.flatMap((each) =>
        typeof each === 'object' && each !== null && !Array.isArray(each) ? [each[step] ?? []].flat() : [],
      ),
    [metadata],
  );
}

const readNumber = (each: Scalar): number | undefined =>
  typeof each === 'number' || (typeof each === 'string' && /^-?(0|[1-9]\d*)(\.\d+)?$/.test(each))
    ? Number(each)
    : undefined;

function isSame(one: Scalar, wanted: Scalar): boolean {
  if (typeof one === typeof wanted) return one === wanted;
  if (typeof one === 'boolean' || typeof wanted === 'boolean') return String(one) === String(wanted);
  // A number finds the text that is written like it; a text finds the number that it reads as.
  return typeof wanted === 'number' ? one === String(wanted) : readNumber(wanted) === one;
}

function isWithin(each: string | number, bounds: Record<string, string | number>): boolean {
  return Object.entries(bounds).every(([name, limit]) => {
    const order = compare(each, limit);
    return { gt: order > 0, gte: order >= 0, lt: order < 0, lte: order <= 0 }[name];
  });
}

/** PostgreSQL writes a large number with all its digits. */
const spell = (each: string | number): string => (each === 1e21 ? '1000000000000000000000' : String(each));

function compare(each: string | number, limit: string | number): number {
  const numbers = [readNumber(each), readNumber(limit)] as const;
  if (numbers[0] !== undefined && numbers[1] !== undefined) return numbers[0] - numbers[1];
  const [text, end] = [spell(each), String(limit)];
  const isDate = /^\d{4}(-\d\d){0,2}$/.test(end) && text.startsWith(end) && ['-', 'T'].includes(text[end.length] ?? '');
  return isDate ? 0 : Buffer.compare(Buffer.from(text), Buffer.from(end));
}

interface WordQuery {
  query: string;
  type?: string;
  operator?: string;
  minimum_should_match?: number | string;
}

/** Several values of a field are several lists of words. */
const textOf = (each: Value): string => (typeof each === 'string' ? each : JSON.stringify(each));

function wordsIn(name: string, document: Doc): string[][] {
  if (name !== 'text') return valuesOf(name, document).map((each) => textOf(each).split(' '));
  const { metadata, files } = document;
  return [[textOf(metadata['title'] ?? ''), files?.txt.text].filter(Boolean).join(' ').split(' ')];
}

function hasWords(name: string, { query: text, type, operator: by, minimum_should_match }: WordQuery, document: Doc) {
  const lists = wordsIn(name, document);
  const wanted = text.split(' ');
  if (type === 'phrase') return lists.some((list) => ` ${list.join(' ')} `.includes(` ${text} `));
  const found = wanted.filter((one) => lists.flat().includes(one)).length;
  if (by === 'and') return found === wanted.length;
  return found >= Math.max(1, needed(minimum_should_match ?? 1, wanted.length));
}

function needed(given: number | string, total: number): number {
  if (typeof given === 'number') return given < 0 ? total + given : given;
  const percent = Number.parseInt(given, 10);
  return percent < 0 ? total - Math.floor((total * -percent) / 100) : Math.floor((total * percent) / 100);
}

function hasValue(name: string, document: Doc): boolean {
  if (name === 'ref') return true;
  if (name === 'text') return document.files !== undefined;
  return valuesOf(name, document).some((each) => each !== null);
}

function matchesLeaf([prefix, text]: [string, string], document: Doc): boolean {
  const name = prefix === '' ? 'text' : prefix.slice(0, -1);
  if (name === '_exists_') return hasValue(text, document);
  if (text === '*') return prefix === '' || hasValue(name, document);
  if (text === '[1 TO 1900}') return matches({ range: { year: { gte: '1', lt: '1900' } } }, document);
  if (text === '>=10') return matches({ range: { year: { gte: '10' } } }, document);
  if (!text.endsWith('*')) return hasWords(name, { query: text.replaceAll('"', ''), type: 'phrase' }, document);
  const beginning = text.slice(0, -1);
  return wordsIn(name, document)
    .flat()
    .some((one) => one.startsWith(beginning));
}

/** A clause is forbidden, required, or one of those of which one has to match where none is required. */
function matchesClassic(list: Occurrence[], andByDefault: boolean, document: Doc): boolean {
  const is = (index: number, ...signs: string[]) => index > 0 && signs.includes(list[index]?.conjunction.trim() ?? '');
  const all = list.map(({ modifier, leaf }, index) => {
    const found = matchesLeaf(leaf, document);
    if (modifier === '-' || modifier === 'NOT ') return { kind: 'mustNot', found };
    if (is(index + 1, 'AND', '&&')) return { kind: 'must', found };
    if (andByDefault && is(index + 1, 'OR', '||')) return { kind: 'should', found };
    const isRequired = modifier === '+' || is(index, 'AND', '&&') || (andByDefault && !is(index, 'OR', '||'));
    return { kind: isRequired ? 'must' : 'should', found };
  });
  const of = (kind: string) => all.filter((each) => each.kind === kind).map(({ found }) => found);
  if (of('must').includes(false) || of('mustNot').includes(true)) return false;
  return of('must').length > 0 || of('should').length === 0 || of('should').includes(true);
}

/** From left to right. */
function matchesSimple(list: Occurrence[], andByDefault: boolean, document: Doc): boolean {
  const found = list.map(({ modifier, leaf }) => matchesLeaf(leaf, document) !== (modifier === '-'));
  return found.reduce((sum, each, index) => {
    const sign = list[index]?.conjunction.trim();
    return sign === '+' || (sign === '' && andByDefault) ? sum && each : sum || each;
  });
}
