/** A collection as Explore needs it: what it is, and which of its fields are worth a facet. */
import { api, bodyOf, type Schemas } from '../foundation/api.js';

export type Collection = Schemas['Collection'];

export interface Explored {
  collection: Collection;
  facets: readonly string[];
  /** Where dates are found, in which years can be chosen. */
  dateField: string | undefined;
}

/** So many facets are asked for at a time. */
const AT_ONCE = 10;
const MOST_LOOKED_AT = 30;
const MOST_FACETS = 6;
/** Where the date of a document is looked for, in this order. */
const DATES = ['date', 'issue_date'];
/** Dates that begin so can be compared with years. So many are looked at. */
const YEAR_FIRST = /^\d{4}(?!\d)/;
const SAMPLE = 20;
/** They are shown in their own ways. */
const NOT_FACETS = /^(title|abstract|text|ref|uri|url|identifier|handle|id|year|(.*_)?date)$/i;

const known = new Map<string, Promise<Explored>>();

/** Asked for once while the page is open, and again where that failed. */
export function exploreCollection(id: string): Promise<Explored> {
  const asked = known.get(id);
  if (asked !== undefined) return asked;
  const asking = ask(id);
  known.set(id, asking);
  asking.catch(() => known.delete(id));
  return asking;
}

export const forgetCollections = (): void => known.clear();

async function ask(id: string): Promise<Explored> {
  const params = { path: { collection: id } };
  const collection = await bodyOf(api.GET('/collections/{collection}', { params }));
  const fields = collection.fields.filter((field) => !NOT_FACETS.test(field)).slice(0, MOST_LOOKED_AT);
  const found: { field: string; values: number }[] = [];
  for (let start = 0; start < fields.length; start += AT_ONCE) {
    const some = fields.slice(start, start + AT_ONCE);
    const facets = Object.fromEntries(some.map((field) => [field, { terms: { field, size: 1 } }]));
    const body = { query: { match_all: {} }, limit: 0, facets };
    const answer = await bodyOf(api.POST('/collections/{collection}/search', { params, body }));
    for (const field of some) {
      const { values = 0, missing = 0 } = answer.facets[field] ?? {};
      const those = collection.documents - missing;
      // A field with a value for each document tells them apart, and does not group them.
      if (values > 1 && values <= those / 2) found.push({ field, values });
    }
  }
  found.sort((one, other) => one.values - other.values);
  return {
    collection,
    facets: found.slice(0, MOST_FACETS).map(({ field }) => field),
    dateField: await dateFieldOf(collection),
  };
}

async function dateFieldOf({ id, fields }: Collection): Promise<string | undefined> {
  const field = DATES.find((each) => fields.includes(each));
  const body = { query: { match_all: {} }, limit: SAMPLE };
  const { documents } = await bodyOf(
    api.POST('/collections/{collection}/search', { params: { path: { collection: id } }, body }),
  );
  const dates = documents.flatMap(({ date }) => date ?? []);
  if (field !== undefined && dates.every((date) => YEAR_FIRST.test(date))) return field;
  return fields.find((each) => each === 'year');
}
