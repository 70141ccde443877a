/** What a docset consists of, row by row: its members, its catalogue, and what was named and is not in it. */
import type { Knex } from 'knex';
import type { Docset } from './docsets.js';
import { pageOfCatalog, pageOfMembers, type CatalogEntry, type Member } from './members.js';
import { pageOfUnknown } from './named-members.js';

/** Rows of a docset in the order of the UTF-8 bytes of their keys. */
export interface Table<Row> {
  /** Of the rows, in a JSON answer. */
  name: string;
  /** How many rows there are. */
  size(docset: Docset): number;
  /** At most `limit` rows behind `after`. */
  page(knex: Knex, docset: string, place: { limit: number; after: string | undefined }): Promise<Row[]>;
  keyOf(row: Row): string;
  /** In JSON. */
  entry(row: Row): unknown;
  /** Of a CSV. */
  columns: string[];
  /** @param publicUrl without a slash at the end: a CSV goes where nobody knows where it came from */
  cells(row: Row, publicUrl: string): (string | null)[];
}

export const MEMBERS: Table<Member> = {
  name: 'members',
  size: ({ members }) => members,
  page: pageOfMembers,
  keyOf: ({ ref }) => ref,
  entry: ({ id, ref, title }) => ({ url: `/documents/${id}`, id, ref, title }),
  columns: ['ref', 'title', 'id', 'url'],
  cells: ({ id, ref, title }, publicUrl) => [ref, title, id, documentUrl(publicUrl, id)],
};

/** The same columns as in the catalogue of an archive; instead of the paths of files there are their formats. */
export const CATALOG: Table<CatalogEntry> = {
  name: 'members',
  size: ({ members }) => members,
  page: pageOfCatalog,
  keyOf: ({ ref }) => ref,
  entry: ({ id, ...entry }) => ({ url: `/documents/${id}`, id, ...entry }),
  columns: ['ref', 'title', 'creator', 'date', 'url', 'formats'],
  cells: ({ id, ref, title, creator, date, formats }, publicUrl) => [
    ...[ref, title, creator, date],
    documentUrl(publicUrl, id),
    formats.join(' '),
  ],
};

export const UNKNOWN: Table<{ member: string }> = {
  name: 'unknown',
  size: ({ unknown }) => unknown,
  page: pageOfUnknown,
  keyOf: ({ member }) => member,
  entry: ({ member }) => member,
  columns: ['member'],
  cells: ({ member }) => [member],
};

const documentUrl = (publicUrl: string, id: string): string => `${publicUrl}/api/documents/${id}`;
