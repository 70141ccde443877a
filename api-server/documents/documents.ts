/** Documents and their files. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

export interface Document {
  id: string;
  collection_id: string;
  ref: string;
  revision: number;
  current: boolean;
  title: string | null;
  creator: string | null;
  date: string | null;
  metadata: Record<string, unknown>;
}

/** Where the bytes of a file are, and what they must be. */
export interface StoredBytes {
  /** Id of the segment. */
  segment: string;
  /** Of the segment, in the content store. */
  key: string;
  offset: number;
  /** Bytes in the segment. */
  stored_length: number;
  method: 'deflate' | 'store';
  /** Of the bytes in the segment. */
  stored_sha256: string;
}

export interface StoredFile extends StoredBytes {
  document_id: string;
  format: string;
  media_type: string;
  /** Bytes of the content. */
  size: number;
  /** Of the content. */
  sha256: string;
  /** Of the content. */
  crc32: number;
}

/** @throws {ProblemError} `document-not-found` */
export async function findDocument(knex: Knex, id: string): Promise<Document> {
  const columns = ['id', 'collection_id', 'ref', 'revision', 'current', 'title', 'creator', 'date', 'metadata'];
  const document = await knex('documents').where({ id }).first<Document | undefined>(columns);
  if (document === undefined) throw new ProblemError('document-not-found', `There is no document ${id}.`);
  return document;
}

/** The files of a document in the order of their formats. */
export async function filesOf(knex: Knex, document: string): Promise<StoredFile[]> {
  return (await selectFiles(knex).where('f.document_id', document).orderBy('f.format')).map(fromRow);
}

/** PostgreSQL's bigint comes as text. */
type Row = Record<keyof StoredFile, string>;

export const selectFiles = (knex: Knex) =>
  knex('files as f')
    .join('segments as s', 's.id', 'f.segment_id')
    .select<Row[]>(
      'f.document_id',
      'f.format',
      'f.media_type',
      'f.size',
      'f.sha256',
      'f.crc32',
      's.id as segment',
      's.key',
      'f.offset',
      'f.stored_length',
      'f.method',
      'f.stored_sha256',
    );

export const fromRow = (row: Row): StoredFile => ({
  ...row,
  method: row.method === 'deflate' ? 'deflate' : 'store',
  size: Number(row.size),
  crc32: Number(row.crc32),
  offset: Number(row.offset),
  stored_length: Number(row.stored_length),
});
