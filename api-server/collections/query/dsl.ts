/**
 * The clauses of a query in the language of Elasticsearch and OpenSearch, over the fields that our index has there
 * (search-engine/index-layout.ts). Each means what its SQL means; only what counts as a word is the engine's business.
 */
import type { Field } from './fields.js';
import type { Minimum } from './minimum.js';

export type Dsl = Readonly<Record<string, unknown>>;

export const EVERYTHING: Dsl = { bool: { filter: [{ match_all: {} }] } };
export const NOTHING: Dsl = { match_none: {} };

/** Longer values are told apart by so many characters: a term of the index has 32,766 bytes at the most. */
export const LONGEST_VALUE = 4_000;

/** Names a field in the index. No two fields have the same name there, whatever characters they have. */
export const keyOf = (field: Exclude<Field, { type: 'text' }>): string =>
  cutValue(field.type === 'ref' ? 'ref' : JSON.stringify(field.path));

export const cutValue = (text: string): string => text.slice(0, LONGEST_VALUE).toWellFormed();

/** A value together with its JSON type, so that "1" differs from 1. */
export const typedValue = (value: string | number | boolean): string =>
  `${cutValue(spellValue(value))}\0${(typeof value)[0]}`;

const DIGITS = new Intl.NumberFormat('en', { useGrouping: false, maximumSignificantDigits: 21 });

/** As PostgreSQL writes it: numbers with all their digits. */
export const spellValue = (value: string | number | boolean): string =>
  typeof value === 'number' ? DIGITS.format(value) : String(value);

/** Does not count for the order. */
export const withoutScoreDsl = (dsl: Dsl): Dsl => ({ bool: { filter: [dsl] } });

export const notDsl = (dsl: Dsl): Dsl => withoutScoreDsl({ bool: { must_not: [dsl] } });

export const allDsl = (clauses: readonly Dsl[]): Dsl => ({ bool: { must: clauses } });

export const boostedDsl = (dsl: Dsl, boost: number): Dsl => ({ bool: { must: [dsl], boost } });

export function atLeastDsl(minimum: number, clauses: readonly Dsl[]): Dsl {
  if (minimum > clauses.length) return NOTHING;
  if (minimum > 0) return { bool: { should: clauses, minimum_should_match: minimum } };
  return { bool: { filter: [{ match_all: {} }], should: clauses, minimum_should_match: 0 } };
}

/** One and the same value of the field fits all of these. */
export const valueDsl = (field: Exclude<Field, { type: 'text' }>, conditions: readonly Dsl[]): Dsl =>
  withoutScoreDsl({
    nested: {
      path: 'values',
      query: { bool: { filter: [{ term: { 'values.field': keyOf(field) } }, ...conditions] } },
    },
  });

export const isOneOfDsl = (
  field: Exclude<Field, { type: 'text' }>,
  spelled: readonly (string | number | boolean)[],
): Dsl => valueDsl(field, [{ terms: { 'values.typed': spelled.map(typedValue) } }]);

export const prefixDsl = (field: Exclude<Field, { type: 'text' }>, prefix: string): Dsl =>
  valueDsl(field, [{ prefix: { 'values.text': cutValue(prefix) } }]);

export type RangeOperator = 'gt' | 'gte' | 'lt' | 'lte';

export interface RangeBound {
  operator: RangeOperator;
  text: string;
  /** Numbers are compared with it as numbers. */
  isNumber: boolean;
  /** Texts that go on behind it as dates do are equal to it. */
  isDate: boolean;
}

export function boundDsl({ operator, text, isNumber, isDate }: RangeBound): Dsl {
  const asText = textBoundDsl(operator, cutValue(text), isDate);
  if (!isNumber) return asText;
  const hasNumber = { exists: { field: 'values.number' } };
  return {
    bool: {
      should: [
        { range: { 'values.number': { [operator]: Number(text) } } },
        { bool: { filter: [asText], must_not: [hasNumber] } },
      ],
      minimum_should_match: 1,
    },
  };
}

function textBoundDsl(operator: RangeOperator, text: string, isDate: boolean): Dsl {
  const range = { range: { 'values.text': { [operator]: text } } };
  if (!isDate || operator === 'gte' || operator === 'lt') return range;
  const within = ['-', 'T'].map((next) => ({ prefix: { 'values.text': text + next } }));
  return operator === 'lte'
    ? { bool: { should: [range, ...within], minimum_should_match: 1 } }
    : { bool: { filter: [range], must_not: within } };
}

type WordField = Exclude<Field, { type: 'ref' }>;

/** Words of the heading count once more, as they do in the database. */
function inWords(field: WordField, query: (name: string) => Dsl): Dsl {
  if (field.type === 'text') return { bool: { must: [query('text')], should: [query('heading')] } };
  const isField = { term: { 'words.field': keyOf(field) } };
  return { nested: { path: 'words', query: { bool: { filter: [isField], must: [query('words.words')] } } } };
}

/** What the engine cuts one of the words into has to be there all together. */
export const anyWordDsl = (field: WordField, words: readonly string[]): Dsl =>
  inWords(field, (name) => ({
    bool: { should: words.map((word) => allWordsOf(name, word)), minimum_should_match: 1 },
  }));

const allWordsOf = (name: string, text: string): Dsl => ({ match: { [name]: { query: text, operator: 'and' } } });

export const allWordsDsl = (field: WordField, text: string): Dsl => inWords(field, (name) => allWordsOf(name, text));

/** Words that the language does not search for are not counted. */
export function minimumWordsDsl(field: WordField, text: string, { type, value }: Minimum): Dsl {
  // Of a single word the engine would want no more than that one.
  if (type === 'count' && value > text.trim().split(/\s+/u).length) return NOTHING;
  const minimum = type === 'percent' ? `${value}%` : String(value);
  return inWords(field, (name) => ({ match: { [name]: { query: text, minimum_should_match: minimum } } }));
}

export const phraseDsl = (field: WordField, text: string): Dsl =>
  inWords(field, (name) => ({ match_phrase: { [name]: text } }));

export const wordPrefixDsl = (field: WordField, beginning: string): Dsl =>
  inWords(field, (name) => ({ prefix: { [name]: beginning.toLowerCase() } }));

/** Words and phrases, with `or` between groups of them; those behind a minus are forbidden. */
export function webSearchDsl(text: string): Dsl {
  const groups: { words: string[]; phrases: string[]; forbidden: Dsl[] }[] = [];
  let group: (typeof groups)[number] | undefined;
  for (const [, minus, phrase, word] of text.matchAll(/(-?)"([^"]*)"?|([^\s"]+)/gu)) {
    if (word?.toLowerCase() === 'or') {
      group = undefined;
      continue;
    }
    if (group === undefined) groups.push((group = { words: [], phrases: [], forbidden: [] }));
    if (minus === '-') group.forbidden.push(phraseDsl({ type: 'text' }, phrase ?? ''));
    else if (phrase !== undefined) group.phrases.push(phrase);
    else if (word?.startsWith('-') === true) group.forbidden.push(phraseDsl({ type: 'text' }, word.slice(1)));
    else if (word !== undefined) group.words.push(word);
  }
  const clauses = groups.map(({ words, phrases, forbidden }): Dsl => {
    const must = [
      ...(words.length === 0 ? [] : [allWordsDsl({ type: 'text' }, words.join(' '))]),
      ...phrases.map((phrase) => phraseDsl({ type: 'text' }, phrase)),
    ];
    return { bool: { must, must_not: forbidden } };
  });
  return atLeastDsl(1, clauses);
}
