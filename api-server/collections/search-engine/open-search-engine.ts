/** OpenSearch or Elasticsearch as search engine. It knows which documents match; what they are is in the database. */
import type { Knex } from 'knex';
import { ProblemError } from '../../http/problems.js';
import type { Parts } from '../../parts.js';
import type { Collection } from '../collections.js';
import { compileFacets } from '../facets.js';
import { refuse, type Compiled } from '../query/query-node.js';
import type { Found, Position, Sort } from '../search-order.js';
import { SearchEngineError, createEngineClient, type EngineClient } from './engine-client.js';
import { aggregationsOf, readFacets } from './engine-facets.js';
import { fillIndex, revisionOf } from './fill-index.js';
import { readState } from './index-revision.js';
import { openIntake } from './intake.js';
import type { Findings, SearchEngine, Wish } from './search-engine.js';

/** What an engine answers at most at once. */
const LARGEST_PAGE = 10_000;
const TRIES = 3;

export function openSearchEngine({ knex, content }: Pick<Parts, 'knex' | 'content'>, url: string): SearchEngine {
  const client = createEngineClient(url);
  return {
    async find(collection, wish) {
      // Refuses what no engine answers.
      compileFacets(wish.facets, wish.searchable);
      for (let tries = 1; ; tries++) {
        const revision = await revisionOf(knex, collection.id);
        const found = await atRevision(client, collection, revision, () => search(client, collection, wish));
        // Documents that others wrote meanwhile may have taken the place of some that were found.
        const page = found === undefined ? undefined : await describe(knex, found.page);
        // The engine gets documents while they are written: from before their revision is complete they may be found.
        const isStill = (await revisionOf(knex, collection.id)) === revision;
        if (found !== undefined && page !== undefined && isStill) return { ...found, page };
        if (tries === TRIES) throw behind(collection);
      }
    },
    async matching(trx, collection, compiled) {
      const revision = await revisionOf(trx, collection.id);
      const listed = await atRevision(client, collection, revision, () => listAll(trx, client, collection, compiled));
      const matching = () =>
        trx('found_documents as found')
          .join('documents as d', 'd.id', 'found.id')
          .where({ 'd.collection_id': collection.id, 'd.current': true });
      const count = await matching().count<{ count: string }[]>({ count: '*' }).first();
      // Never fewer than were found.
      if (listed === undefined || Number(count?.count) !== listed) throw behind(collection);
      return matching;
    },
    openIntake: (collection) => openIntake(client, collection),
    async takeIn(collection, intake) {
      await translated(() => fillIndex({ knex, content, client, taken: intake?.taken }, collection));
    },
  };
}

const behind = ({ id }: Collection): ProblemError =>
  new ProblemError(
    'search-index-behind',
    `The index of collection ${id} does not have all of its documents yet.`,
    {},
    { headers: { 'Retry-After': '5' } },
  );

/** Undefined where the index was changed meanwhile. @throws {ProblemError} `search-index-behind`, `search-engine-unavailable` */
function atRevision<T>(client: EngineClient, collection: Collection, revision: number, work: () => Promise<T>) {
  return translated(async () => {
    const before = await readState(client, collection.id);
    if (before?.complete !== revision) {
      // It may be ahead of what the caller sees of the database.
      if ((before?.complete ?? 0) > revision) return undefined;
      throw behind(collection);
    }
    const result = await work();
    const after = await readState(client, collection.id);
    return after?.complete === revision ? result : undefined;
  });
}

async function translated<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof SearchEngineError)) throw error;
    if (error.status === 400 && /too_many_(nested_)?clauses|maxClauseCount/.test(error.message)) {
      return refuse('/query', 'The search engine takes fewer clauses: make the query simpler.');
    }
    if (error.message.includes('too_many_buckets')) refuse('/facets', 'There would be too many buckets.');
    throw new ProblemError(
      'search-engine-unavailable',
      undefined,
      {},
      { cause: error, headers: { 'Retry-After': '5' } },
    );
  }
}

interface Hit {
  _id: string;
  _score: number | null;
  sort: (string | number | null)[];
}

interface SearchAnswer {
  timed_out: boolean;
  _shards: { failed: number };
  hits: { total: { value: number }; hits: Hit[] };
  aggregations?: Record<string, unknown>;
}

/** The entry that is no document has no ref. */
const documentsOf = ({ dsl }: Compiled) => ({ bool: { filter: [{ exists: { field: 'ref' } }], must: [dsl] } });

interface Ranked extends Omit<Findings, 'page'> {
  page: { id: string; key: string | number | null }[];
}

async function search(client: EngineClient, collection: Collection, wish: Wish): Promise<Ranked> {
  const { compiled, facets, sort, limit } = wish;
  const after = await behindSkipped(client, collection, wish);
  if (after === 'the end') return { ...(await search(client, collection, { ...wish, skip: 0, limit: 0 })), page: [] };
  const answer = await post(client, collection, {
    query: documentsOf(compiled),
    size: limit === 0 ? 0 : limit + 1,
    track_total_hits: true,
    sort: orderOf(sort),
    ...(after !== undefined && { search_after: after }),
    aggs: aggregationsOf(facets, wish.searchable),
  });
  const hits = answer.hits.total.value;
  return {
    hits,
    page: answer.hits.hits.map(({ _id, sort: [first] }) => ({
      id: _id,
      key: sort === 'ref' || sort === '-ref' ? null : (first ?? null),
    })),
    facets: readFacets(facets, answer.aggregations ?? {}, hits),
    ranked: hits,
  };
}

/** Where the page begins: an engine skips no more than a page of its own at a time. */
async function behindSkipped(
  client: EngineClient,
  collection: Collection,
  { compiled, sort, after, skip }: Wish,
): Promise<Hit['sort'] | 'the end' | undefined> {
  let position: Hit['sort'] | undefined = after === undefined ? undefined : positionOf(sort, after);
  for (let left = skip; left > 0; left -= LARGEST_PAGE) {
    const size = Math.min(left, LARGEST_PAGE);
    const { hits } = await post(client, collection, {
      query: documentsOf(compiled),
      size,
      sort: orderOf(sort),
      ...(position !== undefined && { search_after: position }),
    });
    const last = hits.hits[size - 1];
    if (last === undefined) return 'the end';
    position = last.sort;
  }
  return position;
}

async function post(client: EngineClient, { id }: Collection, body: object): Promise<SearchAnswer> {
  const path = `/${client.indexOf(id)}/_search`;
  const answer = await client.send<SearchAnswer>('POST', path, { _source: false, ...body });
  // A part of an answer is none.
  if (answer === undefined || answer.timed_out || answer._shards.failed > 0) {
    throw new SearchEngineError('the search engine answered a part only', undefined);
  }
  return answer;
}

function orderOf(sort: Sort): object[] {
  const order = sort.startsWith('-') ? 'desc' : 'asc';
  const name = sort.replace('-', '');
  if (name === 'ref') return [{ ref: order }];
  if (name === 'relevance') return [{ _score: 'desc' }, { ref: 'asc' }];
  return [{ [`${name}_key`]: { order, missing: '_last' } }, { ref: 'asc' }];
}

const positionOf = (sort: Sort, { key, ref }: Position): Hit['sort'] =>
  sort === 'ref' || sort === '-ref' ? [ref] : [key, ref];

/** Undefined where one of them is no longer there. */
async function describe(knex: Knex, page: Ranked['page']): Promise<Found[] | undefined> {
  const rows = await knex('documents')
    .whereIn(
      'id',
      page.map(({ id }) => id),
    )
    .select<Omit<Found, 'sort_key'>[]>('id', 'ref', 'title', 'creator', 'date');
  const byId = new Map(rows.map((row) => [row.id, row]));
  const found = page.flatMap(({ id, key }) => {
    const row = byId.get(id);
    return row === undefined ? [] : [{ ...row, sort_key: key }];
  });
  return found.length === page.length ? found : undefined;
}

/** Ids of all hits go into a table that lasts as long as the transaction. @returns how many there are */
async function listAll(
  trx: Knex.Transaction,
  client: EngineClient,
  collection: Collection,
  compiled: Compiled,
): Promise<number> {
  await trx.raw('create temporary table found_documents (id bigint primary key) on commit drop');
  let listed = 0;
  for (let after: Hit['sort'] | undefined; ;) {
    const { hits } = await post(client, collection, {
      query: documentsOf(compiled),
      size: LARGEST_PAGE,
      track_total_hits: true,
      sort: [{ id: 'asc' }],
      ...(after !== undefined && { search_after: after }),
    });
    const ids = hits.hits.map(({ _id }) => _id);
    await trx.raw('insert into found_documents select unnest(?::bigint[])', [ids]);
    listed += ids.length;
    after = hits.hits.at(-1)?.sort;
    if (ids.length < LARGEST_PAGE) {
      if (listed !== hits.total.value) throw behind(collection);
      return listed;
    }
  }
}
