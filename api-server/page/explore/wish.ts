/** What the user looks for: as the URL has it, as the API takes it, and in words. */
import type { Schemas } from '../foundation/api.js';
import { list } from '../foundation/words.js';

export type Query = Schemas['Search']['query'];
export type Sort = NonNullable<Schemas['Search']['sort']>;

export interface Wish {
  /** As for a web search; empty: no words. */
  text: string;
  /** Values by field: a document has one of them in each. */
  values: Readonly<Record<string, readonly string[]>>;
  /** Years, both included. */
  from?: number | undefined;
  to?: number | undefined;
  /** Undefined: by relevance where there are words, else by ref. */
  sort?: Sort | undefined;
}

export const EVERYTHING: Wish = { text: '', values: {}, from: undefined, to: undefined, sort: undefined };

/** By what the results can be put in order. */
export const SORTS: readonly { sort: Sort; label: string }[] = [
  { sort: 'relevance', label: 'Most relevant first' },
  { sort: 'date', label: 'Oldest first' },
  { sort: '-date', label: 'Newest first' },
  { sort: 'title', label: 'By title' },
  { sort: 'ref', label: 'By reference' },
];

/** A parameter of the URL is `in.` and the name of a field. */
const VALUE = 'in.';

export function readWish(query: URLSearchParams): Wish {
  const fields = [...new Set([...query.keys()].filter((name) => name.startsWith(VALUE)))];
  const sort = SORTS.find((each) => each.sort === query.get('sort'))?.sort;
  return {
    text: query.get('q') ?? '',
    values: Object.fromEntries(fields.map((name) => [name.slice(VALUE.length), query.getAll(name)])),
    from: readYear(query.get('from')),
    to: readYear(query.get('to')),
    sort,
  };
}

function readYear(text: string | null): number | undefined {
  return text !== null && /^\d{1,4}$/.test(text) ? Number(text) : undefined;
}

/** The parameters of the URL. */
export function writeWish({
  text,
  values,
  from,
  to,
  sort,
}: Wish): Record<string, string | readonly string[] | undefined> {
  return {
    q: text,
    ...Object.fromEntries(Object.entries(values).map(([field, some]) => [`${VALUE}${field}`, some])),
    from: from?.toString(),
    to: to?.toString(),
    sort,
  };
}

/** @param dateField the field of the metadata that has the date */
export function queryOf({ text, values, from, to }: Wish, dateField: string | undefined): Query {
  const words = text.trim();
  const filter = [
    ...Object.entries(values)
      .filter(([, some]) => some.length > 0)
      .map(([field, some]) => (some.length === 1 ? { term: { [field]: some[0] } } : { terms: { [field]: some } })),
    ...(dateField === undefined || (from === undefined && to === undefined)
      ? []
      : [
          {
            range: {
              [dateField]: {
                ...(from !== undefined && { gte: year(from) }),
                ...(to !== undefined && { lte: year(to) }),
              },
            },
          },
        ]),
  ];
  if (filter.length === 0) return words === '' ? { match_all: {} } : words;
  return { bool: { ...(words !== '' && { must: [words] }), filter } };
}

/** As the beginning of a date: 0890. */
const year = (value: number): string => String(value).padStart(4, '0');

export const hasWords = ({ text }: Wish): boolean => text.trim() !== '';

export const sortOf = (wish: Wish): Sort => {
  if (wish.sort === undefined || (wish.sort === 'relevance' && !hasWords(wish)))
    return hasWords(wish) ? 'relevance' : 'ref';
  return wish.sort;
};

/** A phrase has its own quotes. */
const quoted = (text: string): string => (text.includes('"') ? text : `“${text}”`);

/** `matching “railroad”, party Whig or Federalist, from 1850 to 1860`; empty where everything is looked for. */
export function inWords({ text, values, from, to }: Wish): string {
  const parts = [
    ...(text.trim() === '' ? [] : [`matching ${quoted(text.trim())}`]),
    ...Object.entries(values)
      .filter(([, some]) => some.length > 0)
      .map(([field, some]) => `${field} ${list(some, 'or')}`),
    ...(from !== undefined && to !== undefined
      ? [from === to ? `of ${from}` : `from ${from} to ${to}`]
      : from !== undefined
        ? [`since ${from}`]
        : to !== undefined
          ? [`until ${to}`]
          : []),
  ];
  return parts.join(', ');
}

export const isEverything = (wish: Wish): boolean => inWords(wish) === '';

/** The same wish with a value of a field taken or given up. */
export function toggled(wish: Wish, field: string, value: string): Wish {
  const some = wish.values[field] ?? [];
  const others = some.includes(value) ? some.filter((each) => each !== value) : [...some, value];
  const values = Object.entries(wish.values).filter(([name]) => name !== field);
  return {
    ...wish,
    values: Object.fromEntries([...values, ...(others.length === 0 ? [] : [[field, others] as const])]),
  };
}
