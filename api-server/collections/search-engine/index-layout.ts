/** What the index of a collection has in the search engine, and how a document becomes an entry of it. */
import { DEEPEST_FIELD } from '../metadata-schema.js';
import { cutValue, keyOf, spellValue, typedValue } from '../query/dsl.js';
import { PLAIN_NUMBER } from '../query/term.js';
import { sortKeysOf } from '../search-order.js';

const keyword = { type: 'keyword' };
/** Of each document so many values are found by value; all words are found. */
const MOST_VALUES = 50_000;

/** Metadata are pairs of field and value, so that no field has to have one type, and no number of fields is too many. */
export function indexLayout(language: string): object {
  const words = { type: 'text', analyzer: language === 'simple' ? 'standard' : language };
  return {
    settings: {
      // What was written appears when all of it is there, and not before.
      refresh_interval: '-1',
      // Counts of values are exact where all of them are in one place.
      number_of_shards: 1,
      // A deletion that comes before what it deletes is remembered for so long.
      gc_deletes: '1d',
      'mapping.nested_objects.limit': 2 * MOST_VALUES,
    },
    mappings: {
      dynamic: 'strict',
      _source: { includes: ['revision'] },
      properties: {
        id: { type: 'long' },
        ref: keyword,
        year: { type: 'integer' },
        date_key: keyword,
        title_key: keyword,
        has_text: { type: 'boolean' },
        heading: words,
        text: words,
        values: {
          type: 'nested',
          properties: { field: keyword, typed: keyword, text: keyword, number: { type: 'double' } },
        },
        words: { type: 'nested', properties: { field: keyword, words } },
        // Of the one entry that is no document: up to which revision of the collection the index is complete.
        revision: { type: 'long' },
      },
    },
  };
}

export interface IndexedRow {
  id: string;
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
  year: number | null;
  metadata: Record<string, unknown>;
}

/** Of the table of documents. */
export const INDEXED_COLUMNS = ['id', 'ref', 'title', 'creator', 'date', 'year', 'metadata'] as const;

type Scalar = string | number | boolean;

/** @param content the text; undefined where the document has none */
export function entryOf(
  { id, ref, title, creator, date, year, metadata }: IndexedRow,
  content: string | undefined,
): object {
  const heading = [title, creator].filter(Boolean).join('\n');
  const fields = fieldsIn(metadata);
  return {
    id: Number(id),
    ref,
    ...(year !== null && { year }),
    ...sortKeysOf({ date, title }),
    has_text: content !== undefined,
    heading,
    text: [heading, content ?? abstractOf(metadata)].filter(Boolean).join('\n'),
    values: [valueEntry(keyOf({ type: 'ref' }), ref), ...fields.flatMap(valueEntries)].slice(0, MOST_VALUES),
    words: fields.slice(0, MOST_VALUES).map(({ path, elements }) => ({
      field: keyOf({ type: 'metadata', path }),
      words: elements.flatMap(wordsIn),
    })),
  };
}

interface FieldValues {
  path: string[];
  /** Those of a list one by one; never null. */
  elements: unknown[];
}

/** All fields that a query may name, with all their values. */
function fieldsIn(metadata: Record<string, unknown>): FieldValues[] {
  const fields = new Map<string, FieldValues>();
  const collect = (object: object, path: readonly string[]): void => {
    for (const [name, value] of Object.entries(object)) {
      const inner = [...path, name];
      const elements = [value].flat().filter((element: unknown) => element !== null);
      const field = fields.get(JSON.stringify(inner)) ?? { path: inner, elements: [] };
      field.elements.push(...elements);
      fields.set(JSON.stringify(inner), field);
      if (inner.length >= DEEPEST_FIELD) continue;
      for (const element of elements) if (isPlainObject(element)) collect(element, inner);
    }
  };
  collect(metadata, []);
  return [...fields.values()];
}

const isPlainObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isScalar = (value: unknown): value is Scalar => ['string', 'number', 'boolean'].includes(typeof value);

/** Each value once, so that counting entries counts documents. */
function valueEntries({ path, elements }: FieldValues): object[] {
  const field = keyOf({ type: 'metadata', path });
  const scalars = [...new Set(elements.filter(isScalar))];
  const entries = scalars.map((scalar) => valueEntry(field, scalar));
  return elements.length > 0 && elements.some((element) => !isScalar(element)) ? [...entries, { field }] : entries;
}

function valueEntry(field: string, value: Scalar): object {
  const isNumber = typeof value === 'number' || (typeof value === 'string' && PLAIN_NUMBER.test(value));
  return {
    field,
    typed: typedValue(value),
    ...(typeof value !== 'boolean' && { text: cutValue(spellValue(value)) }),
    ...(isNumber && { number: Number(value) }),
  };
}

/** Names of members are no words. */
function wordsIn(value: unknown): string[] {
  if (isScalar(value)) return [spellValue(value)];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(wordsIn) : [];
}

const abstractOf = ({ abstract }: Record<string, unknown>): string =>
  isScalar(abstract) || Array.isArray(abstract) ? wordsIn(abstract).join('; ') : '';
