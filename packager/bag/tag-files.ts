/** The text files of a bag around its payload (RFC 8493), made piece by piece. */
import { stringify } from 'csv-stringify/sync';
import type { Listing } from '../source/listing.js';
import type { Docset, Member } from '../source/members.js';
import type { BagCounts, OutcomeReader, Outcomes } from './outcomes.js';
import { payloadPath, type PayloadNames } from './payload-names.js';

/** Section 2.1.1: "MUST consist of exactly two lines". */
export const BAGIT_TXT = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n';

/** What the tag files are made from. */
export interface PackedBag {
  listing: Listing;
  outcomes: Outcomes;
  formats: readonly string[];
  /** New for each reading, since names depend on those before them. */
  names: () => PayloadNames;
}

/**
 * A line of a manifest. Section 2.1.3: LF, CR and % in a path "MUST be percent-encoded", and nothing else.
 */
export function manifestLine(sha256: string, path: string): string {
  const encoded = path.replace(/[%\n\r]/g, (character) => encodeURIComponent(character));
  return `${sha256}  ${encoded}\n`;
}

export async function* payloadManifest(bag: PackedBag): AsyncGenerator<string> {
  for await (const { files } of documentsOf(bag)) {
    for (const { path, outcome } of files) if (outcome.type === 'packed') yield manifestLine(outcome.sha256, path);
  }
}

/** One line a document; for each wanted format the path of its file in the bag, or nothing. */
export async function* catalogCsv(bag: PackedBag): AsyncGenerator<string> {
  yield csv(['ref', 'title', 'creator', 'date', 'url', ...bag.formats]);
  for await (const { member, files } of documentsOf(bag)) {
    const { ref, title, creator, date, url } = member;
    yield csv([
      ref,
      title,
      creator,
      date,
      url,
      ...files.map((file) => (file.outcome.type === 'packed' ? file.path : '')),
    ]);
  }
}

/** One line a file that was asked for and is not in the bag. */
export async function* omittedCsv(bag: PackedBag): AsyncGenerator<string> {
  yield csv(['ref', 'format', 'reason']);
  if (bag.outcomes.counts.files.omitted === 0) return;
  for await (const { member, files } of documentsOf(bag)) {
    for (const { format, outcome } of files) {
      if (outcome.type === 'omitted') yield csv([member.ref, format, outcome.reason]);
    }
  }
}

export function bagInfo(
  docset: Docset,
  url: URL,
  formats: readonly string[],
  { documents, files, bytes }: BagCounts,
): string {
  const created = new Date(docset.created ?? '');
  const fields: [string, string | number | undefined][] = [
    ['Source-Organization', docset.source],
    ['External-Identifier', `${url.origin}${url.pathname}`],
    ['External-Description', docset.description],
    // The docset's date and not today's: the same docset gives the same bag.
    ['Bagging-Date', Number.isNaN(created.getTime()) ? undefined : created.toISOString().slice(0, 10)],
    ['Payload-Oxum', `${bytes}.${files.packed}`],
    ['Bag-Software-Agent', 'adit'],
    ['Docset', docset.id],
    ['Docset-Name', docset.name],
    ['Collection', docset.collection],
    ['Query', docset.query === undefined ? undefined : JSON.stringify(docset.query)],
    ['Licence', docset.licence],
    ['Formats', formats.join(', ')],
    ['Documents-Requested', documents.requested],
    ['Documents-Packed', documents.packed],
    ['Documents-Omitted', documents.omitted],
    ['Files-Requested', files.requested],
    ['Files-Packed', files.packed],
    ['Files-Omitted', files.omitted],
  ];
  return fields
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([label, value]) => `${label}: ${oneLine(String(value))}\n`)
    .join('');
}

interface DocumentFiles {
  member: Member;
  files: { format: string; path: string; outcome: ReturnType<OutcomeReader['next']> }[];
}

/** The documents with what became of their files, by reading the listing once more. */
async function* documentsOf({ listing, outcomes, formats, names }: PackedBag): AsyncGenerator<DocumentFiles> {
  const reader = outcomes.reader();
  const namer = names();
  for await (const member of listing.members()) {
    const name = namer.next(member.ref);
    yield {
      member,
      files: formats.map((format) => ({
        format,
        path: payloadPath(name, format, formats),
        outcome: reader.next(member, format),
      })),
    };
  }
}

function csv(record: (string | undefined)[]): string {
  // A lone carriage return ends a line for some readers, and is quoted by no writer: a title must not become a row.
  const cells = record.map((cell) => (cell ?? '').replace(/\r\n?/g, '\n'));
  return stringify([cells], { record_delimiter: 'unix' });
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
