/** What a packager reads of a docset (docs/packager-http.md): all members, with where the bytes are and what they must be. */
import type { Knex } from 'knex';
import type { Collection } from '../collections/collections.js';
import type { Docset } from './docsets.js';
import { filesOfMembers, pagesOfMembers, type Member, type MemberFile } from './members.js';

export interface ListingOptions {
  formats: string[];
  /** Of the packager's own request: it reaches us there. */
  origin: string;
  /** Where everybody else does: what goes into archives. */
  publicUrl: string;
}

/** One JSON object a line: the docset, its members, and a last line without which the stream is not whole. */
export async function* listingLines(
  knex: Knex,
  docset: Docset,
  collection: Collection,
  options: ListingOptions,
): AsyncGenerator<string> {
  yield line({ docset: headOf(docset, collection) });
  let members = 0;
  for await (const page of pagesOfMembers(knex, docset.id)) {
    const files = await filesOfMembers(knex, page, options.formats);
    members += page.length;
    yield page.map((member) => line(memberOf(member, files.get(member.id) ?? [], options))).join('');
  }
  // Deleted while it was read: without its last line the packager sees that this is not the docset.
  if (members === docset.members) yield line({ end: true, members });
}

/** The same as one JSON document, with only what packagers of the first Adit looked for. */
export async function* listingDocument(knex: Knex, docset: Docset, head: object): AsyncGenerator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"members":[`;
  let members = 0;
  for await (const page of pagesOfMembers(knex, docset.id)) {
    const entries = page.map(({ id, ref }) => JSON.stringify({ url: `/documents/${id}`, ref })).join(',\n');
    yield `${members === 0 ? '' : ','}\n${entries}`;
    members += page.length;
  }
  if (members !== docset.members) throw new Error(`docset ${docset.id} was deleted while it was read`);
  yield '\n]}\n';
}

function headOf(docset: Docset, collection: Collection): object {
  const { id, name, description, query, created, revision, members } = docset;
  return {
    id,
    name,
    description,
    query,
    collection: collection.id,
    source: collection.source,
    licence: collection.licence,
    created: created.toISOString(),
    revision,
    members,
  };
}

function memberOf({ id, ...member }: Member, files: MemberFile[], options: ListingOptions): object {
  const { formats, origin, publicUrl } = options;
  const path = `/api/documents/${id}`;
  const entries = formats.flatMap((wanted) => {
    const file = files.find(({ format }) => format === wanted);
    if (file === undefined) return [];
    const { format, media_type, size, sha256 } = file;
    return [[format, { href: `${origin}${path}/files/${format}`, media_type, size, sha256 }]];
  });
  return { ...member, url: `${publicUrl}${path}`, files: Object.fromEntries(entries) as object };
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;
