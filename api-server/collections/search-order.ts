/** In which order a search answers documents, and where in that order a page begins. */
import { createHash } from 'node:crypto';
import type { Knex } from 'knex';
import { z } from 'zod';
import { ProblemError } from '../http/problems.js';
import { isStorable } from '../http/request-body.js';
import type { Collection } from './collections.js';
import { canonicalJson } from './ingest/read-document.js';
import type { Compiled, Condition } from './query/query-node.js';

export const SORTS = ['ref', '-ref', 'date', '-date', 'title', '-title', 'relevance'] as const;
export type Sort = (typeof SORTS)[number];

/** The last document before a page: what it was sorted by, and its ref, which decides between equals. */
export interface Position {
  key: string | number | null;
  ref: string;
}

export interface Found {
  id: string;
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
  sort_key: string | number | null;
}

/**
 * Ranking reads the words of each document: of more than these, in the order of their refs, none is ranked. Five thousand
 * documents of 40 kB take about a quarter of a second.
 */
export const MOST_RANKED = 5_000;
/** So many hits are put in order in less time than an index may take to lead to them. */
const FEW = 20_000;
/** Longer titles are put in order by their beginnings. Characters. */
const LONGEST_KEY = 200;

/** What a search engine sorts by. */
export const sortKeysOf = ({ date, title }: Pick<Found, 'date' | 'title'>) => ({
  ...(date !== null && { date_key: date.slice(0, LONGEST_KEY).toWellFormed() }),
  ...(title !== null && { title_key: title.toLowerCase().slice(0, LONGEST_KEY).toWellFormed() }),
});

export interface PageWish {
  sort: Sort;
  after: Position | undefined;
  skip: number;
  limit: number;
  hits: number;
}

/** A page of the matching documents, and one more where there is a next page. */
export function pageOf(
  knex: Knex,
  matching: Knex.QueryBuilder,
  compiled: Compiled,
  { sort, after, skip, limit, hits }: PageWish,
): Knex.QueryBuilder<object, Found[]> {
  const columns = ['d.id', 'd.ref', 'd.title', 'd.creator', 'd.date'];
  const { key, descending } = orderOf(sort, compiled);
  const keyed: Knex.QueryBuilder =
    sort === 'relevance'
      ? knex(matching.select('d.*').orderBy('d.ref').limit(MOST_RANKED).as('d')).select(columns)
      : matching.select(columns);
  void keyed.select(knex.raw(`${key.sql} as sort_key`, [...key.bindings]));
  // An index on refs leads to the first of many hits at once; to few hits it leads past all the others.
  const found =
    hits <= FEW ? knex.withMaterialized('found', keyed).from<Found>('found') : knex<Found>(keyed.as('found'));
  const page = found.select<Found[]>('*');
  if (after !== undefined) void page.whereRaw(...behind(sort, after, descending));
  return page
    .modify((query) => {
      if (sort === 'ref' || sort === '-ref') void query.orderBy('ref', descending ? 'desc' : 'asc');
      else void query.orderByRaw(`sort_key ${descending ? 'desc' : 'asc'} nulls last, ref`);
    })
    .offset(skip)
    .limit(limit + 1);
}

function orderOf(sort: Sort, { scores }: Compiled): { key: Condition; descending: boolean } {
  const descending = sort.startsWith('-') || sort === 'relevance';
  switch (sort) {
    case 'ref':
    case '-ref':
      return { key: { sql: 'null::text', bindings: [] }, descending };
    case 'date':
    case '-date':
      return { key: { sql: `left(d.date, ${LONGEST_KEY}) collate "C"`, bindings: [] }, descending };
    case 'title':
    case '-title':
      return { key: { sql: `left(lower(d.title), ${LONGEST_KEY}) collate "C"`, bindings: [] }, descending };
    case 'relevance': {
      const sum = ['0::float8', ...scores.map(({ sql }) => sql)].join(' + ');
      return { key: { sql: sum, bindings: scores.flatMap(({ bindings }) => bindings) }, descending };
    }
  }
}

/** Documents without a key come last, whichever way round the others are. */
function behind(sort: Sort, { key, ref }: Position, descending: boolean): [string, (string | number)[]] {
  if (sort === 'ref') return ['ref > ?', [ref]];
  if (sort === '-ref') return ['ref < ?', [ref]];
  if (key === null) return ['(sort_key is null and ref > ?)', [ref]];
  const type = sort === 'relevance' ? 'float8' : 'text';
  const further = `sort_key ${descending ? '<' : '>'} ?::${type}`;
  return [`(${further} or (sort_key = ?::${type} and ref > ?) or sort_key is null)`, [key, key, ref]];
}

const cursorShape = z.tuple([
  z.string(),
  z.union([z.string().refine(isStorable), z.number(), z.null()]),
  z.string().min(1).refine(isStorable),
]);

/** Good for the same search only. */
export interface CursorScope {
  collection: Collection;
  query: unknown;
  sort: Sort;
}

export function writeCursor(scope: CursorScope, { sort_key, ref }: Found): string {
  return Buffer.from(JSON.stringify([fingerprint(scope), sort_key, ref])).toString('base64url');
}

/** @throws {ProblemError} `cursor-invalid` */
export function readCursor(scope: CursorScope, cursor: string): Position {
  const result = cursorShape.safeParse(parseCursor(cursor));
  if (!result.success) throw new ProblemError('cursor-invalid');
  const [print, key, ref] = result.data;
  if (print !== fingerprint(scope)) {
    throw new ProblemError('cursor-invalid', 'The cursor is that of another search: query and sort stay as they were.');
  }
  // What it is compared with is a number exactly there.
  if (key !== null && (typeof key === 'number') !== (scope.sort === 'relevance'))
    throw new ProblemError('cursor-invalid');
  return { key, ref };
}

function parseCursor(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
  } catch {
    return undefined;
  }
}

function fingerprint({ collection, query, sort }: CursorScope): string {
  return createHash('sha256')
    .update(canonicalJson([collection.id, query, sort]))
    .digest('base64url')
    .slice(0, 16);
}
