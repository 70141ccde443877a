/** Rows that describe documents and name their files: CSV, and lines of JSON. */
import { isUtf8 } from 'node:buffer';
import { Readable } from 'node:stream';
import { CsvError, parse } from 'csv-parse';
import { z } from 'zod';
import type { GivenFile } from '../../../api-server/collections/ingest/read-document.js';
import { readLines } from '../../../api-server/collections/ingest/lines.js';
import { documentItem, lineItem, RefusedFileError, type SourceItem } from '../source.js';
import { faultOfPath, readName } from './file-names.js';
import { TOO_LONG, withoutLongRows } from './long-rows.js';

/** A file by its path, relative to where the rows are. */
interface NamedFile {
  format: string;
  path: string;
  mediaType?: string | undefined;
}

export interface Row {
  type: 'row';
  where: string;
  ref: string;
  metadata: Record<string, unknown>;
  files: (NamedFile | GivenFile)[];
}

export type RefusedRow = SourceItem & { type: 'refused' };

/** @throws {RefusedFileError} it cannot be read, or is too large */
export type FileOpener = (path: string) => Promise<Buffer>;

export interface Rows {
  /** True where the rows say which files a document has, and there are no others. */
  listFiles: boolean;
  rows: AsyncIterable<Row | RefusedRow>;
}

const LONGEST_ROW = 64 * 1024 * 1024;

/** What a cell of a column becomes, by the type that the collection's schema has for it. */
type Cast = (column: string, cell: string) => unknown;

/**
 * The first row names the columns: `ref`; `text`, the text itself; `file`, names of files separated by `;`; `file:<format>`, the
 * name of the file in that format. All others are metadata; an empty cell is none.
 * @param schema of the metadata
 * @throws {Error} it is no CSV that could be read
 */
export async function readCsv(chunks: AsyncIterable<Buffer>, schema: object): Promise<Rows> {
  const parser = Readable.from(withoutLongRows(withoutMark(chunks), LONGEST_ROW)).compose(
    parse({
      encoding: null,
      relax_column_count: true,
      skip_empty_lines: true,
    }),
  ) as AsyncIterable<Buffer[]>;
  const records = parser[Symbol.asyncIterator]();
  const first = await records.next();
  if (first.done === true) throw new Error('The CSV has no first row that names its columns.');
  const header = first.value.map((cell) => cell.toString('utf8').trim());
  if (!header.includes('ref')) throw new Error(`The CSV has no column "ref"; its columns are ${header.join(', ')}.`);
  const twice = header.find((column, index) => header.indexOf(column) !== index);
  if (twice !== undefined) throw new Error(`The CSV has two columns "${twice}".`);
  const cast = castBy(schema);
  return {
    listFiles: header.some((column) => column === 'text' || /^file(:|$)/.test(column)),
    rows: (async function* () {
      let number = 1;
      try {
        for await (const cells of { [Symbol.asyncIterator]: () => records }) {
          number += 1;
          yield readCells(`row ${number}`, header, cells, cast);
        }
      } catch (error) {
        if (!(error instanceof CsvError)) throw error;
        // Of the rows before it, some may not have been asked for yet.
        const row = typeof error['records'] === 'number' ? error['records'] + 1 : number + 1;
        throw new Error(`Row ${row} of the CSV cannot be read: ${error.message}.`, { cause: error });
      }
    })(),
  };
}

/** The parser would take what comes behind a byte order mark for text, whatever it is. */
async function* withoutMark(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let isFirst = true;
  for await (const chunk of chunks) {
    yield isFirst && chunk.subarray(0, MARK.length).equals(MARK) ? chunk.subarray(MARK.length) : chunk;
    isFirst = false;
  }
}

const MARK = Buffer.from('\ufeff');

const WHY_TOO_LONG =
  'it is longer than 64 MiB, or a quotation mark in it is never closed: texts as long as that are better in files, named in a column "file"';

function readCells(where: string, header: readonly string[], cells: readonly Buffer[], cast: Cast): Row | RefusedRow {
  if (cells.length === 1 && cells[0]?.equals(TOO_LONG) === true)
    return { type: 'refused', where, ref: null, reason: WHY_TOO_LONG };
  const text = (column: string): string => cells[header.indexOf(column)]?.toString('utf8') ?? '';
  const ref = text('ref').trim();
  const refuse = (reason: string): RefusedRow => ({ type: 'refused', where, ref: ref === '' ? null : ref, reason });
  if (cells.length !== header.length)
    return refuse(`it has ${cells.length} cells, and the first row has ${header.length}`);
  const broken = header.find((_, index) => !isUtf8(cells[index] ?? Buffer.alloc(0)));
  if (broken !== undefined) return refuse(`its column "${broken}" is not valid UTF-8`);
  if (ref === '') return refuse('it has no ref');
  const row: Row = { type: 'row', where, ref, metadata: {}, files: [] };
  for (const column of header) {
    const cell = text(column);
    if (column === 'ref' || cell === '') continue;
    if (column === 'text') row.files.push({ format: 'txt', bytes: Buffer.from(cell) });
    else if (column === 'file') row.files.push(...cell.split(';').map((path) => namedFile(path.trim())));
    else if (column.startsWith('file:'))
      row.files.push({ format: column.slice(5).trim().toLowerCase(), path: cell.trim() });
    else row.metadata[column] = cast(column, cell);
  }
  return row;
}

/** By its ending; one that says nothing is refused when the file is opened. */
function namedFile(path: string): NamedFile {
  const named = readName(path);
  return { path, format: named.type === 'file' ? named.format : '' };
}

function castBy(schema: object): Cast {
  const properties = z
    .record(z.string(), z.looseObject({ type: z.unknown() }))
    .catch({})
    .parse('properties' in schema ? schema.properties : {});
  return (column, cell) => {
    const types = [properties[column]?.type].flat();
    if (types.includes('boolean') && /^(true|false)$/i.test(cell)) return cell.toLowerCase() === 'true';
    const isNumber = types.includes('integer') || types.includes('number');
    return isNumber && !types.includes('string') && cell.trim() !== '' && Number.isFinite(Number(cell))
      ? Number(cell)
      : cell;
  };
}

const pathFile = z.strictObject({ path: z.string().min(1), media_type: z.string().optional() });
const jsonRow = z.looseObject({
  ref: z.string(),
  metadata: z.record(z.string(), z.unknown()).default({}),
  files: z.record(z.string(), z.unknown()).default({}),
});

/**
 * Lines for the ingest door, where a file may also be `{"path": "…"}`.
 * @param open reads these
 */
export async function* readJsonLines(chunks: AsyncIterable<Buffer>, open: FileOpener): AsyncGenerator<SourceItem> {
  for await (const line of readLines(chunks, LONGEST_ROW)) {
    const where = `line ${line.number}`;
    if ('fault' in line) yield { type: 'refused', where, ref: null, reason: line.fault };
    else if (!line.text.includes('"path"')) yield lineItem(where, line.text);
    else yield await withPaths(where, line.text, open);
  }
}

/** The files that have a path are read, and the line is as if they had been in it. */
async function withPaths(where: string, text: string, open: FileOpener): Promise<SourceItem> {
  const row = jsonRow.safeParse(parseJson(text));
  if (!row.success) return lineItem(where, text);
  const files: Record<string, unknown> = {};
  for (const [format, file] of Object.entries(row.data.files)) {
    const named = pathFile.safeParse(file);
    const unsafe = faultOfPath(named.data?.path ?? '');
    try {
      if (unsafe !== undefined) throw new RefusedFileError(unsafe);
      files[format] = !named.success
        ? file
        : { base64: (await open(named.data.path)).toString('base64'), media_type: named.data.media_type };
    } catch (error) {
      if (!(error instanceof RefusedFileError)) throw error;
      return { type: 'refused', where, ref: row.data.ref, reason: `${String(named.data?.path)}: ${error.message}` };
    }
  }
  return lineItem(where, JSON.stringify({ ...row.data, files }));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Rows of metadata alone: `{"ref": "…", "metadata": {…}}`. */
export function readJsonRows(chunks: AsyncIterable<Buffer>): Rows {
  return {
    listFiles: false,
    rows: (async function* (): AsyncGenerator<Row | RefusedRow> {
      for await (const line of readLines(chunks, LONGEST_ROW)) {
        const where = `line ${line.number}`;
        const refuse = (reason: string): RefusedRow => ({ type: 'refused', where, ref: null, reason });
        if ('fault' in line) {
          yield refuse(line.fault);
          continue;
        }
        const row = jsonRow.omit({ files: true }).strict().safeParse(parseJson(line.text));
        if (row.success) yield { type: 'row', where, ...row.data, files: [] };
        else yield refuse('it is not {"ref": "…", "metadata": {…}}');
      }
    })(),
  };
}

/** The document that a row describes. */
export async function rowItem(row: Row, open: FileOpener): Promise<SourceItem> {
  const files: GivenFile[] = [];
  for (const file of row.files) {
    const refuse = (reason: string): SourceItem => ({ type: 'refused', where: row.where, ref: row.ref, reason });
    const { format } = file;
    const called = 'path' in file ? file.path : format;
    const unsafe = 'path' in file ? faultOfPath(file.path) : undefined;
    if (unsafe !== undefined) return refuse(`${called}: ${unsafe}`);
    if (!/^[a-z0-9]{1,16}$/.test(format) || format === 'meta') {
      return refuse(`${called}: its format is not known: it needs an ending of a-z and 0-9, such as .txt`);
    }
    if (files.some((other) => other.format === format))
      return refuse(`${called}: the row has two files of format ${format}`);
    try {
      files.push('bytes' in file ? file : { format, bytes: await open(file.path), mediaType: file.mediaType });
    } catch (error) {
      if (!(error instanceof RefusedFileError)) throw error;
      return refuse(`${called}: ${error.message}`);
    }
  }
  return documentItem(row.where, row.ref, row.metadata, files);
}
