/** The members of a docset, in the order of the UTF-8 bytes of their refs, a page at a time: a million never sit in memory. */
import type { Knex } from 'knex';
import { isNew } from './delta.js';

export interface Member {
  ref: string;
  /** Document id. */
  id: string;
  title: string | null;
  creator: string | null;
  date: string | null;
}

const PAGE = 500;

/** At most `limit` members behind `after`; only what the docset `since` has not, where one is given. */
export async function pageOfMembers(
  knex: Knex,
  docset: string,
  { limit, after, since }: { limit: number; after: string | undefined; since?: string | undefined },
): Promise<Member[]> {
  const { sql, bindings } = isNew(since);
  return knex('docset_members as m')
    .join('documents as d', 'd.id', 'm.document_id')
    .where('m.docset_id', docset)
    .whereRaw(sql, bindings)
    .modify((query) => {
      if (after !== undefined) void query.where('m.ref', '>', after);
    })
    .orderBy('m.ref')
    .limit(limit)
    .select<Member[]>('m.ref', 'd.id', 'd.title', 'd.creator', 'd.date');
}

export interface CatalogEntry extends Member {
  /** Sorted. */
  formats: string[];
}

/** The same with the formats in which there are files of each. */
export async function pageOfCatalog(
  knex: Knex,
  docset: string,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<CatalogEntry[]> {
  const { rows } = await knex.raw<{ rows: CatalogEntry[] }>(
    `select m.ref, d.id, d.title, d.creator, d.date,
       array(select format from files f where f.document_id = d.id order by format) as formats
     from (
       select ref, document_id from docset_members where docset_id = ? and ref > ? order by ref limit ?
     ) as m
     join documents as d on d.id = m.document_id
     order by m.ref`,
    // No ref is empty.
    [docset, after ?? '', limit],
  );
  return rows;
}

/** Every page. */
export async function* pagesOfMembers(knex: Knex, docset: string, since: string | undefined): AsyncGenerator<Member[]> {
  let last: string | undefined;
  for (;;) {
    const page = await pageOfMembers(knex, docset, { limit: PAGE, after: last, since });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    last = page.at(-1)?.ref;
  }
}

/** A member with one of its files; one without a file in any of the formats has nulls. */
export interface ListedRow extends Member {
  format: string | null;
  media_type: string;
  size: string;
  sha256: string;
  /** Id of the segment. */
  segment: string;
  offset: string;
  stored_length: string;
  method: string;
  crc32: string;
  stored_sha256: string;
}

/** Whose members are wanted, in which formats; only what the docset `since` has not, where one is given. */
export interface WantedFiles {
  docset: string;
  formats: string[];
  since?: string | undefined;
}

/**
 * All members with their files in the given formats, those of a member one after the other and in the order of `formats`.
 * The next page is on its way while this one is worked on.
 */
export async function* pagesOfFiles(knex: Knex, wanted: WantedFiles): AsyncGenerator<ListedRow[]> {
  let next: Promise<ListedRow[]> | undefined = pageOfFiles(knex, wanted, undefined);
  while (next !== undefined) {
    const page: ListedRow[] = await next;
    const last: string | undefined = page.at(-1)?.ref;
    next = last === undefined ? undefined : pageOfFiles(knex, wanted, last);
    // Where the reader has gone, nobody waits for it any more.
    next?.catch(() => undefined);
    if (page.length > 0) yield page;
  }
}

async function pageOfFiles(
  knex: Knex,
  { docset, formats, since }: WantedFiles,
  after: string | undefined,
): Promise<ListedRow[]> {
  const { sql, bindings } = isNew(since);
  const { rows } = await knex.raw<{ rows: ListedRow[] }>(
    `select m.ref, d.id, d.title, d.creator, d.date, f.format, f.media_type, f.size, f.sha256, f.segment_id as segment,
       f."offset", f.stored_length, f.method, f.crc32, f.stored_sha256
     from (
       select ref, document_id from docset_members as m
       where docset_id = ? and ref > ? and ${sql} order by ref limit ?
     ) as m
     join documents as d on d.id = m.document_id
     left join files as f on f.document_id = d.id and f.format = any(?::text[])
     order by m.ref, array_position(?::text[], f.format)`,
    // No ref is empty.
    [docset, after ?? '', ...bindings, PAGE, formats, formats],
  );
  return rows;
}

/** Segments by id, with where they are. */
export async function findSegments(
  knex: Knex,
  ids: readonly string[],
): Promise<{ id: string; key: string; size: string }[]> {
  return knex('segments').whereIn('id', ids).orderBy('id').select('id', 'key', 'size');
}
