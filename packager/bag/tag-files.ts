/** The text files of a bag around its payload (RFC 8493). */
import { stringify } from 'csv-stringify/sync';
import type { Docset, Member, Withdrawn } from '../source/members.js';
import type { BagCounts, FileOutcome } from './outcomes.js';

/** Section 2.1.1: "MUST consist of exactly two lines". */
export const BAGIT_TXT = 'BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n';

/** A document, and what became of its file in each wanted format. */
export interface DocumentOutcome {
  member: Member;
  files: { format: string; path: string; outcome: FileOutcome }[];
}

/** The same whenever lines are made, so that they are cut into the same pieces. */
export const DOCUMENTS_AT_ONCE = 256;

/** A tag file that has so many lines for each document. */
export interface LineFile {
  name: string;
  head: string;
  linesOf(documents: readonly DocumentOutcome[]): string;
}

/** In the order in which they lie in the bag. */
export const lineFiles = (formats: readonly string[]): LineFile[] => [PAYLOAD_MANIFEST, catalog(formats), OMITTED];

const PAYLOAD_MANIFEST: LineFile = {
  name: 'manifest-sha256.txt',
  head: '',
  linesOf(documents) {
    let lines = '';
    for (const { files } of documents) {
      for (const { path, outcome } of files) if (outcome.type === 'packed') lines += manifestLine(outcome.sha256, path);
    }
    return lines;
  },
};

/** One line a document; for each wanted format the path of its file in the bag, or nothing. */
const catalog = (formats: readonly string[]): LineFile => ({
  name: 'catalog.csv',
  head: csv([['ref', 'title', 'creator', 'date', 'url', ...formats]]),
  linesOf: (documents) =>
    csv(
      documents.map(({ member: { ref, title, creator, date, url }, files }) => {
        const paths = files.map(({ path, outcome }) => (outcome.type === 'packed' ? path : ''));
        return [ref, title, creator, date, url, ...paths];
      }),
    ),
});

/** One line a file that was asked for and is not in the bag. */
const OMITTED: LineFile = {
  name: 'omitted.csv',
  head: csv([['ref', 'format', 'reason']]),
  linesOf(documents) {
    const records: string[][] = [];
    for (const { member, files } of documents) {
      for (const { format, outcome } of files) {
        if (outcome.type === 'omitted') records.push([member.ref, format, outcome.reason]);
      }
    }
    return records.length === 0 ? '' : csv(records);
  },
};

/** One line a document that an earlier docset had, and this one has not; in a bag that is relative to one. */
export const WITHDRAWN = {
  name: 'withdrawn.csv',
  head: csv([['ref', 'title', 'creator', 'date', 'url']]),
  linesOf: (documents: readonly Withdrawn[]): string =>
    csv(documents.map(({ ref, title, creator, date, url }) => [ref, title, creator, date, url])),
};

/** The text of one of them. */
export async function* linesOf<T>(
  file: { head: string; linesOf(documents: readonly T[]): string },
  documents: AsyncIterable<readonly T[]>,
): AsyncGenerator<string> {
  yield file.head;
  for await (const some of documents) yield file.linesOf(some);
}

/**
 * A line of a manifest. Section 2.1.3: LF, CR and % in a path "MUST be percent-encoded", and nothing else.
 */
export function manifestLine(sha256: string, path: string): string {
  const encoded = path.replace(/[%\n\r]/g, (character) => encodeURIComponent(character));
  return `${sha256}  ${encoded}\n`;
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
    ['Since-Dump', docset.since?.dump],
    ['Since-Docset', docset.since?.docset],
    ['Documents-Withdrawn', docset.since?.withdrawn],
  ];
  return fields
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([label, value]) => `${label}: ${oneLine(String(value))}\n`)
    .join('');
}

/** A call costs more than its records do: the more of them at a time, the better. */
function csv(records: readonly (readonly (string | undefined)[])[]): string {
  // A lone carriage return ends a line for some readers, and is quoted by no writer: a title must not become a row.
  const cells = records.map((record) => record.map((cell) => cell?.replace(/\r\n?/g, '\n') ?? ''));
  return stringify(cells, { record_delimiter: 'unix' });
}

function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
