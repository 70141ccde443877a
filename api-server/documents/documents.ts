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

export interface StoredFile {
  document_id: string;
  format: string;
  media_type: string;
  size: number;
  sha256: string;
}

const FILE_COLUMNS = ['document_id', 'format', 'media_type', 'size', 'sha256'];

/** @throws {ProblemError} `document-not-found` */
export async function findDocument(knex: Knex, id: string): Promise<Document> {
  const columns = ['id', 'collection_id', 'ref', 'revision', 'current', 'title', 'creator', 'date', 'metadata'];
  const document = await knex('documents').where({ id }).first<Document | undefined>(columns);
  if (document === undefined) throw new ProblemError('document-not-found', `There is no document ${id}.`);
  return document;
}

/** The files of a document in the order of their formats. */
export async function filesOf(knex: Knex, document: string): Promise<StoredFile[]> {
  const rows = await knex('files')
    .where({ document_id: document })
    .orderBy('format')
    .select<(StoredFile & { size: string })[]>(FILE_COLUMNS);
  return rows.map((row) => ({ ...row, size: Number(row.size) }));
}

/** How much is read from the database at a time: most documents come in one piece. */
const PIECE = 4 * 1024 * 1024;

/** The bytes of a file from `start` to before `end`, at the speed of the reader. */
export async function* readBytes(
  knex: Knex,
  { document_id, format }: StoredFile,
  { start, end }: { start: number; end: number },
): AsyncGenerator<Buffer> {
  for (let position = start; position < end; position += PIECE) {
    const length = Math.min(PIECE, end - position);
    const row = await knex('files')
      .where({ document_id, format })
      .first<{ piece: Buffer } | undefined>(
        // Bytes are counted from 1.
        knex.raw('substring(bytes from ?::int for ?::int) as piece', [position + 1, length]),
      );
    if (row?.piece.length !== length) throw new Error(`document ${document_id}, ${format}: bytes are missing`);
    yield row.piece;
  }
}
