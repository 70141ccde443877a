/** Facets: how the documents that match are spread over the values of a field. */
import type { Knex } from 'knex';
import { elementsOf, valueField } from './query/fields.js';
import {
  below,
  contextAt,
  refuse,
  type Binding,
  type Condition,
  type Context,
  type Searchable,
} from './query/query-node.js';
import { SQL_NUMBER } from './query/range.js';

/** As openapi.yaml has it: exactly one of them. */
export interface FacetWish {
  terms?: { field: string; size?: number };
  years?: { interval?: number };
  histogram?: { field: string; interval: number };
  ranges?: { field: string; ranges: { from?: number; to?: number }[] };
}

export interface Bucket {
  /** A value; or where a year, or a range of numbers, begins. */
  key?: string | number | boolean;
  from?: number;
  to?: number;
  count: number;
}

export interface Facet {
  buckets: Bucket[];
  /** Of `terms`: how many values there are, of which `buckets` are the most frequent. */
  values?: number;
  /** Documents that have none of it. */
  missing: number;
}

/** Makes a fresh query for the documents that match, as `d`. */
export type Matching = () => Knex.QueryBuilder;

type Compute = (knex: Knex, matching: Matching) => Promise<Omit<Facet, 'missing'> & { documents: number }>;

export const DEFAULT_SIZE = 10;
export const MOST_BUCKETS = 1_000;

/**
 * What computes the wanted facets, once it is known how many documents match.
 * @throws {ProblemError} `query-not-supported`
 */
export function compileFacets(wishes: Readonly<Record<string, FacetWish>>, searchable: Searchable) {
  const root = contextAt('/facets', searchable);
  const computations = Object.entries(wishes).map(([name, wish]) => ({
    name,
    compute: compile(wish, below(root, name)),
  }));
  return async (knex: Knex, matching: Matching, hits: number): Promise<Record<string, Facet>> => {
    const facets: [string, Facet][] = [];
    for (const { name, compute } of computations) {
      const { documents, ...facet } = await compute(knex, matching);
      facets.push([name, { ...facet, missing: hits - documents }]);
    }
    return Object.fromEntries(facets);
  };
}

function compile({ terms, years, histogram, ranges }: FacetWish, context: Context): Compute {
  if (terms !== undefined) return termsOf(elementsAt(terms.field, below(context, 'terms')), terms.size ?? DEFAULT_SIZE);
  if (years !== undefined) return yearsIn(years.interval ?? 1);
  if (histogram !== undefined) {
    const at = below(context, 'histogram');
    return histogramOf(elementsAt(histogram.field, at), histogram.interval, below(at, 'interval'));
  }
  if (ranges !== undefined) return rangesOf(elementsAt(ranges.field, below(context, 'ranges')), ranges.ranges);
  return refuse(context.pointer, 'A facet is terms, years, histogram or ranges.');
}

const elementsAt = (field: string, context: Context): Condition => {
  const at = below(context, 'field');
  return elementsOf(valueField(field, at));
};

/** A document that has a value twice is counted once. */
function termsOf(elements: Condition, size: number): Compute {
  return async (knex, matching) => {
    const { sql, bindings } = found(matching(), 'distinct d.id, element as key', elements);
    const { rows } = await knex.raw<{ rows: { documents: string; values: string; buckets: Bucket[] }[] }>(
      `with each as materialized (${sql} where jsonb_typeof(element) in ('string', 'number', 'boolean')),
      counted as (select key, count(*) as count from each group by key),
      top as (select * from counted order by count desc, key #>> '{}' collate "C" limit ?)
      select (select count(distinct id) from each) as documents, (select count(*) from counted) as values,
        (select json_agg(top) from top) as buckets`,
      [...bindings, size],
    );
    const [row] = rows;
    return { buckets: row?.buckets ?? [], values: Number(row?.values), documents: Number(row?.documents) };
  };
}

function yearsIn(interval: number): Compute {
  return async (knex, matching) => {
    const decade = knex.raw('d.year / ?::int * ?::int as key', [interval, interval]);
    const rows = await matching()
      .whereNotNull('d.year')
      .groupByRaw('key')
      .orderByRaw('key')
      .select<{ key: number; count: string }[]>(decade, knex.raw('count(*) as count'));
    const buckets = rows.map(({ key, count }) => ({ key, count: Number(count) }));
    return { buckets, documents: buckets.reduce((sum, { count }) => sum + count, 0) };
  };
}

/** Numbers, and texts that read as numbers. */
const NUMBER = `(case when jsonb_typeof(element) = 'number' or written ~ '${SQL_NUMBER}' then written::numeric end)`;

function histogramOf(elements: Condition, interval: number, context: Context): Compute {
  return async (knex, matching) => {
    const { sql, bindings } = found(
      matching(),
      `distinct d.id, floor(${NUMBER} / ?::numeric) * ?::numeric as key`,
      elements,
      [interval, interval],
    );
    const { rows } = await knex.raw<{ rows: { key: string; count: string; documents: string }[] }>(
      `with each as materialized (${sql} where ${NUMBER} is not null)
      select key, count(*) as count, (select count(distinct id) from each) as documents
      from each group by key order by key limit ?`,
      [...bindings, MOST_BUCKETS + 1],
    );
    if (rows.length > MOST_BUCKETS) refuse(context.pointer, `There would be more than ${MOST_BUCKETS} buckets.`);
    const buckets = rows.map(({ key, count }) => ({ key: Number(key), count: Number(count) }));
    return { buckets, documents: Number(rows[0]?.documents ?? 0) };
  };
}

/** From `from` to before `to`. */
function rangesOf(elements: Condition, ranges: readonly { from?: number; to?: number }[]): Compute {
  return async (knex, matching) => {
    const { sql, bindings } = found(matching(), `d.id, ${NUMBER} as number`, elements);
    const counts = ranges.map(({ from, to }) => ({
      sql: 'count(distinct id) filter (where (?::numeric is null or number >= ?) and (?::numeric is null or number < ?))',
      bindings: [from, from, to, to].map((end) => end ?? null),
    }));
    const { rows } = await knex.raw<{ rows: { documents: string; counts: string[] }[] }>(
      `with each as materialized (${sql} where ${NUMBER} is not null)
      select count(distinct id) as documents, array[${counts.map((count) => count.sql).join(', ')}] as counts from each`,
      [...bindings, ...counts.flatMap((count) => count.bindings)] as Knex.RawBinding[],
    );
    const [row] = rows;
    const buckets = ranges.map((range, index) => ({ ...range, count: Number(row?.counts[index]) }));
    return { buckets, documents: Number(row?.documents) };
  };
}

/** A row for each value of each document that matches. */
function found(matching: Knex.QueryBuilder, columns: string, elements: Condition, given: readonly Binding[] = []) {
  const documents = matching.select('d.id', 'd.ref', 'd.metadata').toSQL();
  return {
    sql: `select ${columns} from (${documents.sql}) as d, ${elements.sql}`,
    bindings: [...given, ...documents.bindings, ...elements.bindings] as Knex.RawBinding[],
  };
}
