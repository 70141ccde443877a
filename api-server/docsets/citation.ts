/** How a docset, or a dump of it, is cited: as a sentence, as BibTeX, and as RIS. Every name in it is somebody else's text. */
import type { Collection } from '../collections/collections.js';
import type { PackedDump } from '../parts.js';
import type { Docset } from './docsets.js';

export const CITATION_TYPES = {
  text: 'text/plain',
  bibtex: 'application/x-bibtex',
  ris: 'application/x-research-info-systems',
} as const;

export type CitationFormat = keyof typeof CITATION_TYPES;

export interface Cited {
  docset: Docset;
  collection: Collection;
  /** Undefined: the docset as such is cited. */
  dump: PackedDump | undefined;
  /** Where the service is, without a slash at the end. */
  publicUrl: string;
}

/** What every form says, in its own way. All of it is free of line breaks and of what turns the direction of writing. */
interface Citation {
  key: string;
  author: string;
  title: string;
  /** The day on which the members were fixed: `2026-11-22`. */
  day: string;
  database: string;
  source: string | undefined;
  licence: string | undefined;
  url: string;
  /** Whole sentences: the docset, its query, the dump. */
  notes: string[];
}

export function cite(cited: Cited, format: CitationFormat): string {
  const citation = citationOf(cited);
  switch (format) {
    case 'text':
      return sentences(citation);
    case 'bibtex':
      return bibtex(citation);
    case 'ris':
      return ris(citation);
  }
}

function citationOf({ docset, collection, dump, publicUrl }: Cited): Citation {
  const collectionName = plain(collection.name);
  const url = `${publicUrl}/api/docsets/${docset.id}`;
  return {
    key: `adit-docset-${docset.id}${dump === undefined ? '' : `-${dump.id.slice(0, 8)}`}`,
    author: plain(docset.owner_name ?? docset.owner),
    title: plain(docset.name ?? '') || `Docset ${docset.id} of ${collectionName}`,
    day: dayOf(docset.created),
    database: collectionName,
    source: plain(collection.source ?? '') || undefined,
    licence: plain(collection.licence ?? '') || undefined,
    url: dump === undefined ? url : `${url}/dump?fmt=${dump.formats.join(',')}`,
    notes: [
      `Docset ${docset.id} of the collection ${collectionName}: ${counted(docset.members)}, fixed on ${dayOf(docset.created)}${revisionOf(docset)}.`,
      ...originOf(docset),
      ...(dump === undefined ? [] : [dumpNote(dump)]),
    ],
  };
}

const revisionOf = ({ collection_revision: revision }: Docset): string =>
  revision === null ? '' : ` at revision ${revision}`;

/** The query as it was sent; or what else the docset was made from. */
function originOf({ query, generator }: Docset): string[] {
  if (query !== null && query !== undefined) {
    return [`Query: ${plain(typeof query === 'string' ? query : JSON.stringify(query))}.`];
  }
  return generator === 'members' ? ['Its members were named one by one.'] : [`Made from docsets: ${plain(generator)}.`];
}

function dumpNote({ id, formats, container, since, finished, counts, sha256 }: PackedDump): string {
  const relative = since === null ? '' : `, relative to dump ${since}`;
  const omitted = counts.omitted === 0 ? '' : `, ${counts.omitted} of them with files left out (omitted.csv)`;
  const digest = sha256 === null ? '' : `, SHA-256 ${sha256}`;
  return `Dump ${id} in ${formats.join(', ')} as ${container}${relative}, ${dayOf(finished)}: ${counted(counts.requested)}${omitted}${digest}.`;
}

function sentences({ author, title, notes, source, licence, url }: Citation): string {
  const facts = [
    `${author}.`,
    `“${title}”.`,
    ...notes,
    ...(source === undefined ? [] : [`Source: ${source}.`]),
    ...(licence === undefined ? [] : [`Licence: ${licence}.`]),
    url,
  ];
  return `${facts.join(' ')}\n`;
}

function bibtex({ key, author, title, day, database, source, licence, url, notes }: Citation): string {
  const note = [...notes, ...(licence === undefined ? [] : [`Licence: ${licence}.`])].join(' ');
  const fields: [string, string][] = [
    // The second pair of braces: one name, and a title whose capitals stay.
    ['author', `{{${tex(author)}}}`],
    ['title', `{{${tex(title)}}}`],
    ['year', `{${day.slice(0, 4)}}`],
    ['month', MONTHS[Number(day.slice(5, 7)) - 1] ?? '{}'],
    ['howpublished', `{${tex(`Docset of ${database}`)}}`],
    ...(source === undefined ? [] : [['publisher', `{${tex(source)}}`] as [string, string]]),
    ['note', `{${tex(note)}}`],
    ['url', `{${url}}`],
  ];
  return `@misc{${key},\n${fields.map(([name, value]) => `  ${name} = ${value},\n`).join('')}}\n`;
}

/** The months are macros of BibTeX's own. */
const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];

function ris({ key, author, title, day, database, source, licence, url, notes }: Citation): string {
  const lines: [string, string][] = [
    ['TY', 'DATA'],
    ['ID', key],
    ['AU', author],
    ['TI', title],
    ['PY', day.slice(0, 4)],
    ['DA', `${day.replaceAll('-', '/')}/`],
    ['DB', database],
    ...(source === undefined ? [] : [['PB', source] as [string, string]]),
    ...notes.map((note): [string, string] => ['N1', note]),
    ...(licence === undefined ? [] : [['N1', `Licence: ${licence}.`] as [string, string]]),
    ['UR', url],
    ['ER', ''],
  ];
  return lines.map(([tag, value]) => `${tag}  - ${value}\r\n`).join('');
}

/** BibTeX counts braces even where a backslash is before them, so they go by name. */
const TEX: Readonly<Record<string, string>> = {
  '\\': '\\textbackslash{}',
  '{': '\\textbraceleft{}',
  '}': '\\textbraceright{}',
  '~': '\\textasciitilde{}',
  '^': '\\textasciicircum{}',
};

const tex = (text: string): string => text.replace(/[\\{}~^$&%#_]/g, (sign) => TEX[sign] ?? `\\${sign}`);

/** One line, without what is not seen and changes what is: control characters, and marks that turn the direction of writing. */
function plain(text: string): string {
  return text
    .replace(/[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, '')
    .replace(/[\p{Cc}\s]+/gu, ' ')
    .trim();
}

const dayOf = (moment: Date): string => moment.toISOString().slice(0, 10);

const counted = (documents: number): string => (documents === 1 ? '1 document' : `${documents} documents`);
