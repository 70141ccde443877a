/** Facets as aggregations of the search engine, and back. */
import { DEFAULT_SIZE, MOST_BUCKETS, type Bucket, type Facet, type FacetWish } from '../facets.js';
import { keyOf } from '../query/dsl.js';
import { valueField } from '../query/fields.js';
import { below, contextAt, refuse, type Context, type Searchable } from '../query/query-node.js';

type Wishes = Readonly<Record<string, FacetWish>>;

interface Count {
  doc_count: number;
}
interface Spread {
  spread: { buckets: (Count & { key: string | number; documents?: Count })[] };
}
interface ValuesAnswer {
  had: Spread & { documents: Count; values?: { value: number } };
}
type YearsAnswer = Spread & Count;

/** Up to so many different values are counted exactly. */
const COUNTED_EXACTLY = 40_000;

const nameAt = (index: number): string => `facet_${index}`;

/** @throws {ProblemError} `query-not-supported` */
export function aggregationsOf(wishes: Wishes, searchable: Searchable): object {
  const root = contextAt('/facets', searchable);
  return Object.fromEntries(
    Object.entries(wishes).map(([name, wish], index) => [nameAt(index), aggregationOf(wish, below(root, name))]),
  );
}

/** An entry for each value is counted; `documents` are those that have them. */
const DOCUMENTS = { documents: { reverse_nested: {} } };

function aggregationOf({ terms, years, histogram, ranges }: FacetWish, context: Context): object {
  if (years !== undefined) {
    const spread = { histogram: { field: 'year', interval: years.interval ?? 1, min_doc_count: 1 } };
    return { filter: { exists: { field: 'year' } }, aggs: { spread } };
  }
  if (terms !== undefined) {
    const field = 'values.typed';
    const order = [{ _count: 'desc' }, { _key: 'asc' }];
    return ofValues(terms.field, field, below(context, 'terms'), {
      spread: { terms: { field, size: terms.size ?? DEFAULT_SIZE, order } },
      values: { cardinality: { field, precision_threshold: COUNTED_EXACTLY } },
    });
  }
  const field = 'values.number';
  if (histogram !== undefined) {
    const spread = { histogram: { field, interval: histogram.interval, min_doc_count: 1 }, aggs: DOCUMENTS };
    return ofValues(histogram.field, field, below(context, 'histogram'), { spread });
  }
  if (ranges !== undefined) {
    // They are answered in another order.
    const numbered = ranges.ranges.map((range, index) => ({ key: String(index), ...range }));
    const spread = { range: { field, ranges: numbered }, aggs: DOCUMENTS };
    return ofValues(ranges.field, field, below(context, 'ranges'), { spread });
  }
  return refuse(context.pointer, 'A facet is terms, years, histogram or ranges.');
}

function ofValues(name: string, counted: string, context: Context, aggs: object): object {
  const key = keyOf(valueField(name, below(context, 'field')));
  const filter = { bool: { filter: [{ term: { 'values.field': key } }, { exists: { field: counted } }] } };
  return { nested: { path: 'values' }, aggs: { had: { filter, aggs: { ...DOCUMENTS, ...aggs } } } };
}

/** @throws {ProblemError} `query-not-supported` where a histogram is too fine */
export function readFacets(wishes: Wishes, answers: Record<string, unknown>, hits: number): Record<string, Facet> {
  return Object.fromEntries(
    Object.entries(wishes).map(([name, wish], index) => [name, readFacet(name, wish, answers[nameAt(index)], hits)]),
  );
}

function readFacet(name: string, { terms, years, histogram, ranges }: FacetWish, answer: unknown, hits: number): Facet {
  if (years !== undefined) {
    const { doc_count, spread } = answer as YearsAnswer;
    return { buckets: spread.buckets.map(({ key, doc_count: count }) => ({ key, count })), missing: hits - doc_count };
  }
  const { documents, spread, values } = (answer as ValuesAnswer).had;
  const missing = hits - documents.doc_count;
  if (terms !== undefined) {
    const buckets = spread.buckets.map(({ key, doc_count: count }) => ({ key: readTyped(String(key)), count }));
    return { buckets, values: values?.value ?? 0, missing };
  }
  const counts = spread.buckets.map((bucket): Bucket & { key: string | number } => ({
    key: bucket.key,
    count: bucket.documents?.doc_count ?? 0,
  }));
  if (histogram !== undefined) {
    if (counts.length > MOST_BUCKETS) {
      refuse(`/facets/${name}/histogram/interval`, `There would be more than ${MOST_BUCKETS} buckets.`);
    }
    return { buckets: counts, missing };
  }
  const countOf = (index: number) => counts.find(({ key }) => key === String(index))?.count ?? 0;
  return { buckets: (ranges?.ranges ?? []).map((range, index) => ({ ...range, count: countOf(index) })), missing };
}

function readTyped(typed: string): string | number | boolean {
  const [text, type] = [typed.slice(0, -2), typed.at(-1)];
  if (type === 'n') return Number(text);
  return type === 'b' ? text === 'true' : text;
}
