/** The query compiler against an evaluator that is too slow to be wrong, on documents and queries made up by fast-check. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileQuery } from '../../api-server/collections/query/compile-query.js';
import { fill, type FreshApiServer } from './fresh-api-server.js';
import { onEachDatabase } from './on-each-database.js';

type Scalar = string | number | boolean;
type Value = Scalar | null | Scalar[];
interface Doc {
  ref: string;
  metadata: Record<string, Value>;
}

const FIELDS = ['year', 'tag', 'o\'dd "name"?'];
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
const docs = fc.array(fc.dictionary(fc.constantFrom(...FIELDS), value), { minLength: 60, maxLength: 60 });

const bound = scalar.filter((each) => typeof each !== 'boolean');
const range = fc
  .record({ gt: bound, gte: bound, lt: bound, lte: bound }, { requiredKeys: [] })
  .filter((bounds) => Object.keys(bounds).length > 0);
const field = fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...FIELDS) }, fc.constantFrom('ref', 'absent'));
const { query } = fc.letrec<{ query: object; clauses: object }>((tie) => ({
  clauses: fc.oneof(tie('query'), fc.array(tie('query'), { maxLength: 3 })),
  query: fc.oneof(
    { maxDepth: 4, depthIdentifier: 'query' },
    fc.tuple(field, scalar).map(([name, term]) => ({ term: { [name]: term } })),
    fc.tuple(field, scalar).map(([name, term]) => ({ term: { [name]: { value: term, boost: 2 } } })),
    fc.tuple(field, range).map(([name, bounds]) => ({ range: { [name]: bounds } })),
    fc.constant({ match_all: {} }),
    fc.record({ constant_score: fc.record({ filter: tie('clauses') }) }),
    fc.record({
      bool: fc.record(
        {
          must: tie('clauses'),
          filter: tie('clauses'),
          should: tie('clauses'),
          must_not: tie('clauses'),
          minimum_should_match: fc.integer({ min: 0, max: 3 }),
        },
        { requiredKeys: [] },
      ),
    }),
  ),
}));

onEachDatabase((start) => {
  let server: FreshApiServer;
  let documents: Doc[];
  beforeAll(async () => {
    server = await start();
    const [made] = fc.sample(docs, { numRuns: 1, seed: 2017 });
    documents = (made ?? []).map((metadata, index) => ({ ref: `r${index}`, metadata }));
    await fill(server, 'c', documents);
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
      { numRuns: 400 },
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
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1, maxLength: 3 }), async (parts) => {
        const expected = texts.flatMap((text, index) =>
          parts.every((each) => each.matches(text)) ? [`t${index}`] : [],
        );
        expect(await find(server, parts.map(({ text }) => text).join(' '), 'texts')).toEqual(expected.sort());
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
      const { sql, bindings } = compileQuery(tree, 'english');
      expect(sql).not.toMatch(/drop|😀|o'dd|1899/);
      expect(sql.split('?').length - 1).toBe(bindings.length);
    }),
  );
});

test.each([
  [{ match: { a: 'b' } }, '/query/match'],
  [{}, '/query'],
  [{ term: { a: 1 }, range: { a: { gt: 1 } } }, '/query'],
  [[], '/query'],
  [null, '/query'],
  [' ', '/query'],
  [{ match_all: { x: 1 } }, '/query/match_all/x'],
  [{ term: { a: null } }, '/query/term/a'],
  [{ term: { a: [1] } }, '/query/term/a'],
  [{ term: { a: Infinity } }, '/query/term/a'],
  [{ term: { a: { value: 1, case_insensitive: true } } }, '/query/term/a/case_insensitive'],
  [{ range: { 'a/b': { gt: true } } }, '/query/range/a~1b/gt'],
  [{ range: { a: {} } }, '/query/range/a'],
  [{ range: { a: { gt: 1, format: 'yyyy' } } }, '/query/range/a/format'],
  [{ constant_score: {} }, '/query/constant_score'],
  [{ bool: { must: 'a' } }, '/query/bool/must'],
  [{ bool: { should: [{ match_all: {} }], minimum_should_match: '75%' } }, '/query/bool/minimum_should_match'],
  [{ bool: { must: Array.from({ length: 501 }, () => ({ match_all: {} })) } }, '/query/bool/must/499'],
])('%j is refused with a pointer to %s', (tree, pointer) => {
  expect(() => compileQuery(tree, 'english')).toThrow(
    expect.objectContaining({
      slug: 'query-not-supported',
      extras: { errors: [expect.objectContaining({ pointer })] },
    }),
  );
});

async function find(server: FreshApiServer, tree: unknown, collection = 'c'): Promise<string[]> {
  const { sql, bindings } = compileQuery(tree, 'english');
  const rows = await server.parts
    .knex('documents as d')
    .where('d.collection_id', collection)
    .whereRaw(sql, [...bindings])
    .select<{ ref: string }[]>('ref');
  return rows.map(({ ref }) => ref).sort();
}

type Tree = Record<string, Record<string, unknown>>;

function matches(node: object, document: Doc): boolean {
  const [[clause, content] = ['', {}]] = Object.entries(node as Tree);
  const [[name, inner] = ['', undefined]] = Object.entries(content);
  const values = name === 'ref' ? [document.ref] : [document.metadata[name] ?? []].flat();
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
    case 'constant_score':
      return list(content['filter']).every((each) => matches(each, document));
    default: {
      const should = list(content['should']);
      const required = [...list(content['must']), ...list(content['filter'])];
      const minimum = (content['minimum_should_match'] ??
        (required.length === 0 && should.length > 0 ? 1 : 0)) as number;
      return (
        required.every((each) => matches(each, document)) &&
        !list(content['must_not']).some((each) => matches(each, document)) &&
        should.filter((each) => matches(each, document)).length >= minimum
      );
    }
  }
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

function compare(each: string | number, limit: string | number): number {
  const numbers = [readNumber(each), readNumber(limit)] as const;
  if (numbers[0] !== undefined && numbers[1] !== undefined) return numbers[0] - numbers[1];
  // PostgreSQL writes a large number with all its digits.
  const [text, end] = [each === 1e21 ? '1000000000000000000000' : String(each), String(limit)];
  const isDate = /^\d{4}(-\d\d){0,2}$/.test(end) && text.startsWith(end) && ['-', 'T'].includes(text[end.length] ?? '');
  return isDate ? 0 : Buffer.compare(Buffer.from(text), Buffer.from(end));
}
