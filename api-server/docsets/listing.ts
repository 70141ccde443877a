/** What a packager reads of a docset (docs/packager-http.md): all members, with where the bytes are and what they must be. */
import type { Knex } from 'knex';
import type { Collection } from '../collections/collections.js';
import { pagesOfWithdrawn, type DeltaCounts } from './delta.js';
import type { Docset } from './docsets.js';
import { findSegments, pagesOfFiles, pagesOfMembers, type ListedRow, type Member } from './members.js';

export interface ListingOptions {
  formats: string[];
  /** Of the packager's own request: it reaches us there. */
  origin: string;
  /** Where everybody else does: what goes into archives. */
  publicUrl: string;
  /** Of the segments; undefined where they are in a folder. */
  bucket: string | undefined;
  /** What the listing is relative to; undefined: it is of all members. */
  since: Since | undefined;
}

/** An earlier docset, and how the one that is listed differs from it. */
export interface Since extends DeltaCounts {
  /** Id of the dump by which it was named. */
  dump: string;
  docset: string;
}

/**
 * One JSON object a line: the docset, its members, each segment before the first member that uses it, what was withdrawn where it is
 * relative to an earlier docset, and a last line without which the stream is not whole.
 */
export async function* listingLines(
  knex: Knex,
  docset: Docset,
  collection: Collection,
  options: ListingOptions,
): AsyncGenerator<string> {
  const { since } = options;
  yield line({ docset: headOf(docset, collection, since) });
  const announced = new Set<string>();
  let members = 0;
  for await (const rows of pagesOfFiles(knex, { docset: docset.id, formats: options.formats, since: since?.docset })) {
    const segments = await newSegments(knex, rows, announced, options);
    const page = memberLines(rows, options);
    members += page.members;
    yield `${segments}${page.lines}`;
  }
  let withdrawn = 0;
  if (since !== undefined) {
    for await (const page of pagesOfWithdrawn(knex, docset.id, since.docset)) {
      withdrawn += page.length;
      yield page.map((member) => line({ withdrawn: entryOf(member, options) })).join('');
    }
  }
  // Deleted while it was read: without its last line the packager sees that this is not the docset.
  if (members !== countListed(docset, since) || withdrawn !== (since?.withdrawn ?? 0)) return;
  yield line({ end: true, members, ...(since === undefined ? {} : { withdrawn }) });
}

/** How many members a listing has. */
const countListed = (docset: Docset, since: Since | undefined): number =>
  since === undefined ? docset.members : since.added + since.changed;

const entryOf = ({ ref, id, title, creator, date }: Member, { publicUrl }: ListingOptions): object => ({
  ref,
  title,
  creator,
  date,
  url: `${publicUrl}/api/documents/${id}`,
});

/** A line for each segment that the rows name and that was not announced yet. */
async function newSegments(
  knex: Knex,
  rows: ListedRow[],
  announced: Set<string>,
  { origin, bucket }: ListingOptions,
): Promise<string> {
  const ids = new Set<string>();
  for (const { format, segment } of rows) if (format !== null && !announced.has(segment)) ids.add(segment);
  if (ids.size === 0) return '';
  for (const id of ids) announced.add(id);
  const segments = await findSegments(knex, [...ids]);
  const lines = segments.map(({ id, key, size }) =>
    line({ segment: { id, href: `${origin}/api/segments/${id}`, size: Number(size), key, bucket } }),
  );
  return lines.join('');
}

/** The same as one JSON document, with only what packagers of the first Adit looked for. */
export async function* listingDocument(
  knex: Knex,
  docset: Docset,
  head: object,
  since: Since | undefined,
): AsyncGenerator<string> {
  yield `${JSON.stringify(head).slice(0, -1)},"members":[`;
  let members = 0;
  for await (const page of pagesOfMembers(knex, docset.id, since?.docset)) {
    const entries = page.map(({ id, ref }) => JSON.stringify({ url: `/documents/${id}`, ref })).join(',\n');
    yield `${members === 0 ? '' : ','}\n${entries}`;
    members += page.length;
  }
  if (members !== countListed(docset, since)) throw new Error(`docset ${docset.id} was deleted while it was read`);
  yield '\n]}\n';
}

function headOf(docset: Docset, collection: Collection, since: Since | undefined): object {
  const { id, name, description, query, created, revision } = docset;
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
    members: countListed(docset, since),
    ...(since === undefined ? {} : { since }),
  };
}

/** The lines are written by hand: for a million members that is twice as fast as objects and JSON.stringify. */
function memberLines(rows: ListedRow[], { origin, publicUrl }: ListingOptions): { lines: string; members: number } {
  const hrefs = jsonWithin(`${origin}/api/documents/`);
  const urls = jsonWithin(`${publicUrl}/api/documents/`);
  let lines = '';
  let members = 0;
  let ref: string | undefined;
  for (const row of rows) {
    if (row.ref === ref) {
      lines += ',';
    } else {
      const { id, title, creator, date } = row;
      lines += `${ref === undefined ? '' : '}}\n'}{"ref":${JSON.stringify(row.ref)},"title":${JSON.stringify(title)}`;
      lines += `,"creator":${JSON.stringify(creator)},"date":${JSON.stringify(date)},"url":"${urls}${id}","files":{`;
      ({ ref } = row);
      members += 1;
    }
    if (row.format !== null) lines += fileEntry(row, hrefs);
  }
  return { lines: `${lines}}}\n`, members };
}

/** Ids, formats, digests and methods are of letters and digits only. */
function fileEntry(row: ListedRow, hrefs: string): string {
  const { id, format, media_type, size, sha256, segment, offset, stored_length, method, stored_sha256 } = row;
  const crc32 = Number(row.crc32).toString(16).padStart(8, '0');
  return (
    `"${String(format)}":{"href":"${hrefs}${id}/files/${String(format)}","media_type":${JSON.stringify(media_type)}` +
    `,"size":${size},"sha256":"${sha256}","stored":{"segment":"${segment}","offset":${offset},"length":${stored_length}` +
    `,"method":"${method}","crc32":"${crc32}","sha256":"${stored_sha256}"}}`
  );
}

const jsonWithin = (text: string): string => JSON.stringify(text).slice(1, -1);

const line = (value: object): string => `${JSON.stringify(value)}\n`;
