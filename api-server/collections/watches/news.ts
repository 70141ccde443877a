/** What has become of the documents that match a query since a revision of their collection. */
import type { Knex } from 'knex';
import type { Page } from '../../http/paging.js';
import type { Collection } from '../collections.js';
import { findCollection } from '../collections.js';
import { compileFor, preferIndexes } from '../matching.js';
import type { Compiled } from '../query/query-node.js';
import type { Watch } from './watches.js';

/** It did not match before; it did, as another version; or it is no more, or no longer matches. */
export type NewsKind = 'added' | 'changed' | 'withdrawn';

export interface NewsItem {
  change: NewsKind;
  /** Of the document as it is now; of a withdrawn one, as it was. */
  id: string;
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
}

export interface News {
  /** Revision of the collection that this is the news of. */
  until: number;
  counts: Record<NewsKind, number>;
  /** A page of them in the order of their refs, and one more where there is another page. */
  documents: NewsItem[];
}

export async function newsOf(knex: Knex, watch: Watch, { limit, after }: Page): Promise<News> {
  const read = async (trx: Knex.Transaction): Promise<News> => {
    const collection = await findCollection(trx, watch.collection_id);
    const compiled = await compileFor(trx, collection, watch.query);
    await preferIndexes(trx);
    return {
      until: Number(collection.revision),
      counts: await countNews(trx, collection, watch, compiled),
      documents: await pageOfNews(trx, collection, watch, compiled, { limit: limit + 1, after }),
    };
  };
  return knex.transaction(read, { isolationLevel: 'repeatable read', readOnly: true });
}

/**
 * Each ref that changed since, with the ids of what matched then and what matches now. In between, a document may have
 * changed many times: only the first and the last version count, and one that came back as it was is no news.
 */
function matched({ id }: Collection, { since }: Watch, { sql, bindings }: Compiled) {
  const matching = (key: string): string => `left join lateral (
    select d.id, d.digest from documents as d where d.id = delta.${key} and (${sql})
  ) as ${key} on true`;
  return {
    sql: `select ref, old_id.id as old_id, new_id.id as new_id from (
        select ref, (array_agg(replaced_id order by revision))[1] as old_id,
          (array_agg(document_id order by revision desc))[1] as new_id
        from document_changes where collection_id = ? and revision > ?::bigint group by ref
      ) as delta ${matching('old_id')} ${matching('new_id')}
      where old_id.digest is distinct from new_id.digest`,
    bindings: [id, since, ...bindings, ...bindings],
  };
}

const KIND = `case when old_id is null then 'added' when new_id is null then 'withdrawn' else 'changed' end`;

async function countNews(
  trx: Knex.Transaction,
  collection: Collection,
  watch: Watch,
  compiled: Compiled,
): Promise<News['counts']> {
  const { sql, bindings } = matched(collection, watch, compiled);
  const { rows } = await trx.raw<{ rows: { change: NewsKind; count: string }[] }>(
    `select ${KIND} as change, count(*) from (${sql}) as news group by 1`,
    bindings,
  );
  const counts = { added: 0, changed: 0, withdrawn: 0 };
  for (const { change, count } of rows) counts[change] = Number(count);
  return counts;
}

async function pageOfNews(
  trx: Knex.Transaction,
  collection: Collection,
  watch: Watch,
  compiled: Compiled,
  { limit, after = '' }: Page,
): Promise<NewsItem[]> {
  const { sql, bindings } = matched(collection, watch, compiled);
  const { rows } = await trx.raw<{ rows: NewsItem[] }>(
    `select ${KIND} as change, d.id, d.ref, d.title, d.creator, d.date
     from (${sql}) as news join documents as d on d.id = coalesce(new_id, old_id)
     where news.ref > ? order by news.ref limit ?`,
    [...bindings, after, limit],
  );
  return rows;
}
