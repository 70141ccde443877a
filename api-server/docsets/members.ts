/** The members of a docset, in the order of the UTF-8 bytes of their refs, a page at a time: a million never sit in memory. */
import type { Knex } from 'knex';

export interface Member {
  ref: string;
  /** Document id. */
  id: string;
  title: string | null;
  creator: string | null;
  date: string | null;
}

export interface MemberFile {
  format: string;
  media_type: string;
  size: number;
  sha256: string;
}

const PAGE = 500;

/** At most `limit` members behind `after`. */
export async function pageOfMembers(
  knex: Knex,
  docset: string,
  { limit, after }: { limit: number; after: string | undefined },
): Promise<Member[]> {
  return knex('docset_members as m')
    .join('documents as d', 'd.id', 'm.document_id')
    .where('m.docset_id', docset)
    .modify((query) => {
      if (after !== undefined) void query.where('m.ref', '>', after);
    })
    .orderBy('m.ref')
    .limit(limit)
    .select<Member[]>('m.ref', 'd.id', 'd.title', 'd.creator', 'd.date');
}

/** Every page behind `after`. */
export async function* pagesOfMembers(knex: Knex, docset: string, after?: string): AsyncGenerator<Member[]> {
  let last = after;
  for (;;) {
    const page = await pageOfMembers(knex, docset, { limit: PAGE, after: last });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    last = page.at(-1)?.ref;
  }
}

/** The files of a page of members in the given formats, by document id. */
export async function filesOfMembers(
  knex: Knex,
  page: Member[],
  formats: string[],
): Promise<Map<string, MemberFile[]>> {
  const rows = await knex('files')
    .whereIn(
      'document_id',
      page.map(({ id }) => id),
    )
    .whereIn('format', formats)
    .select<(MemberFile & { document_id: string; size: string })[]>(
      'document_id',
      'format',
      'media_type',
      'size',
      'sha256',
    );
  const files = new Map<string, MemberFile[]>();
  for (const { document_id, format, media_type, size, sha256 } of rows) {
    const file = { format, media_type, size: Number(size), sha256 };
    files.set(document_id, [...(files.get(document_id) ?? []), file]);
  }
  return files;
}
