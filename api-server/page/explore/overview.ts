/** How the documents that were found are spread: over the values of fields, and over the years. */
import { api, bodyOf, type Schemas } from '../foundation/api.js';
import type { Explored } from './collection.js';
import { queryOf, type Query, type Wish } from './wish.js';

export interface Value {
  value: string;
  documents: number;
}

export interface Spread {
  /** The most frequent ones; the field's own choice does not narrow them down. */
  values: readonly Value[];
  /** How many values there are. */
  of: number;
}

export interface Overview {
  fields: Readonly<Record<string, Spread>>;
  /** Documents by the year, or the first one of a step of years; the choice of years does not narrow them down. */
  years: ReadonlyMap<number, number>;
}

export interface OverviewWish {
  explored: Explored;
  wish: Wish;
  /** How many values of a field are wanted. */
  sizeOf: (field: string) => number;
  /** Years in a step of the histogram. */
  step: number;
}

type Facets = NonNullable<Schemas['Search']['facets']>;

const YEARS = 'years';

/** One question for all that is not chosen, and one for each thing that is. */
export async function overviewOf(
  { explored, wish, sizeOf, step }: OverviewWish,
  signal: AbortSignal,
): Promise<Overview> {
  const { collection, facets, dateField } = explored;
  const ask = async (query: Query, wanted: Facets): Promise<Schemas['SearchResult']['facets']> => {
    if (Object.keys(wanted).length === 0) return {};
    const params = { path: { collection: collection.id } };
    const body = { query, limit: 0, facets: wanted };
    return (await bodyOf(api.POST('/collections/{collection}/search', { params, body, signal }))).facets;
  };
  const isChosen = (field: string): boolean => (wish.values[field]?.length ?? 0) > 0;
  const hasRange = wish.from !== undefined || wish.to !== undefined;
  const years: Facets = collection.years.length === 0 ? {} : { [YEARS]: { years: { interval: step } } };
  const terms = (fields: readonly string[]): Facets =>
    Object.fromEntries(fields.map((field) => [`field ${field}`, { terms: { field, size: sizeOf(field) } }]));
  const others = facets.filter((field) => !isChosen(field));
  const answers = await Promise.all([
    ask(queryOf(wish, dateField), { ...terms(others), ...(hasRange ? {} : years) }),
    hasRange ? ask(queryOf({ ...wish, from: undefined, to: undefined }, dateField), years) : {},
    ...facets
      .filter(isChosen)
      .map((field) => ask(queryOf({ ...wish, values: { ...wish.values, [field]: [] } }, dateField), terms([field]))),
  ]);
  const all = Object.assign({}, ...answers) as Schemas['SearchResult']['facets'];
  return {
    fields: Object.fromEntries(facets.map((field) => [field, spreadOf(all[`field ${field}`])])),
    years: new Map((all[YEARS]?.buckets ?? []).map(({ key, count }) => [Number(key), count])),
  };
}

const spreadOf = (facet: Schemas['Facet'] | undefined): Spread => ({
  values: (facet?.buckets ?? []).map(({ key, count }) => ({ value: String(key), documents: count })),
  of: facet?.values ?? 0,
});
