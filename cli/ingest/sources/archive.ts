/** A folder, zip or tar as documents: files that differ only in their ending are the formats of one document. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';
import type { GivenFile } from '../../../api-server/collections/ingest/read-document.js';
import { documentItem, RefusedFileError, titleOf, type Source, type SourceItem } from '../source.js';
import { keyOf, readKey, readName } from './file-names.js';
import { readCsv, readJsonRows, rowItem, type FileOpener, type Row, type Rows } from './rows.js';
import { createSortedIndex, type SortedIndex } from './sorted-index.js';

/** Files by name, in any order. */
export interface Archive {
  listing: Listing;
  /** @throws {RefusedFileError} */
  read(name: string, numbers: readonly number[]): Promise<Buffer>;
  /** For what may be larger than a file of a document. */
  stream(name: string, numbers: readonly number[]): AsyncIterable<Buffer>;
  close(): Promise<void>;
}

/** What is in an archive. */
export interface Listing {
  /** Keys as `keyOf` makes them, and what the archive needs to find the file. */
  index: SortedIndex;
  /** What there is that no document can be made of. */
  problems: SourceItem[];
  add(name: string, numbers: readonly number[]): void;
  /** For what looks like a file of a document, and cannot be read. */
  refuse(name: string, reason: string): void;
  skip(name: string, reason: string): void;
  /** The folder that everything lies in, with its slash: it is no part of refs. */
  top(): string;
}

export function createListing(columns: number): Listing {
  const index = createSortedIndex(columns);
  const problems: SourceItem[] = [];
  let top: string | undefined;
  return {
    index,
    problems,
    add(name, numbers) {
      const named = readName(name);
      switch (named.type) {
        case 'unsafe':
          // Its ref is no one's: that it is refused says nothing about any document of the collection.
          problems.push({ type: 'refused', where: name, ref: name, reason: named.reason });
          return;
        case 'ignored':
          problems.push({ type: 'skipped', where: name, reason: named.reason });
          return;
        case 'file':
        case 'metadata': {
          const folder = name.slice(0, name.indexOf('/') + 1);
          top = top === undefined || top === folder ? folder : '';
          index.add(keyOf(named.ref, named.ending), numbers);
        }
      }
    },
    refuse(name, reason) {
      const named = readName(name);
      const ref = named.type === 'file' || named.type === 'metadata' ? named.ref : name;
      problems.push({ type: 'refused', where: name, ref, reason });
    },
    skip(name, reason) {
      problems.push({ type: 'skipped', where: name, reason });
    },
    top: () => top ?? '',
  };
}

interface Entry {
  name: string;
  ending: string;
  numbers: number[];
}

const TABLES = ['metadata.csv', 'metadata.jsonl'];

/** @param schema of the collection's metadata, for the cells of a `metadata.csv` */
export function archiveSource(archive: Archive, schema: object): Source {
  const { index, problems } = archive.listing;
  const top = archive.listing.top();
  const reader = createReader(archive, top);
  let done = 0;
  let table: Table | undefined;
  return {
    async *items() {
      // Files of a document that cannot be read: what there is of it is not the whole document.
      const broken = new Set<string>();
      for (const problem of problems) {
        if (problem.type === 'refused' && problem.ref?.startsWith(top) === true) {
          const ref = problem.ref.slice(top.length);
          broken.add(ref);
          yield { ...problem, ref };
        } else yield problem;
      }
      const rows = await reader.rows(schema);
      if (rows?.listFiles === true) {
        for await (const row of rows.rows) {
          done += 1;
          yield row.type === 'row' ? await rowItem(row, reader.open) : row;
        }
        return;
      }
      table = rows === undefined ? undefined : await indexRows(rows);
      yield* table?.problems ?? [];
      for (const [ref, entries] of documentsOf(index, top)) {
        done += entries.length;
        if (!broken.has(ref)) yield* reader.document(ref, entries, table);
      }
      yield* table?.unmet() ?? [];
    },
    progress: () => ({ done, total: index.length, unit: 'files' }),
    async close() {
      await table?.close();
      await archive.close();
    },
  };
}

/** The files of each document, but not the tables of metadata. */
function* documentsOf(index: SortedIndex, top: string): Generator<[string, Entry[]]> {
  let ref: string | undefined;
  let entries: Entry[] = [];
  for (let position = 0; position < index.length; position++) {
    const { key, numbers } = index.at(position);
    const { ref: path, ending, name } = readKey(key);
    if (TABLES.includes(name.slice(top.length)) && name.startsWith(top)) continue;
    if (ref !== undefined && path !== ref) {
      yield [ref.slice(top.length), entries];
      entries = [];
    }
    ref = path;
    entries.push({ name, ending, numbers });
  }
  if (ref !== undefined && entries.length > 0) yield [ref.slice(top.length), entries];
}

function createReader(archive: Archive, top: string) {
  const { index } = archive.listing;
  const find = (path: string): Entry | undefined => {
    const named = readName(path);
    if (named.type !== 'file' && named.type !== 'metadata') return undefined;
    const key = keyOf(top + named.ref, named.ending);
    const position = index.seek(key);
    const found = position < index.length ? index.at(position) : undefined;
    return found?.key.equals(key) === true ? { ...readKey(found.key), numbers: found.numbers } : undefined;
  };
  const open: FileOpener = async (path) => {
    const entry = find(path.replace(/^\.\//, ''));
    if (entry === undefined) throw new RefusedFileError('there is no such file');
    return archive.read(entry.name, entry.numbers);
  };

  return {
    open,
    /** The table of metadata that lies at the top, if there is one. */
    async rows(schema: object): Promise<Rows | undefined> {
      const [csv, json] = TABLES.map(find);
      if (csv !== undefined && json !== undefined)
        throw new Error('The source has both metadata.csv and metadata.jsonl.');
      if (csv !== undefined) return readCsv(archive.stream(csv.name, csv.numbers), schema);
      return json === undefined ? undefined : readJsonRows(archive.stream(json.name, json.numbers));
    },
    async *document(ref: string, entries: Entry[], table: Table | undefined): AsyncGenerator<SourceItem> {
      let metadata = await table?.find(ref);
      const files: GivenFile[] = [];
      for (const { name, ending, numbers } of entries) {
        try {
          const named = readName(`x${ending}`);
          if (named.type === 'metadata') {
            metadata = parseMetadata(await archive.read(name, numbers));
          } else if (named.type === 'file') {
            if (files.some(({ format }) => format === named.format)) {
              yield { type: 'refused', where: name, ref, reason: `there is another ${named.format} of ${ref}` };
            } else files.push({ format: named.format, bytes: await archive.read(name, numbers) });
          }
        } catch (error) {
          if (!(error instanceof RefusedFileError)) throw error;
          yield { type: 'refused', where: name, ref, reason: error.message };
          return;
        }
      }
      yield documentItem(entries[0]?.name ?? ref, ref, metadata ?? { title: titleOf(ref) }, files);
    },
  };
}

function parseMetadata(bytes: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Told below.
  }
  throw new RefusedFileError('it is not a JSON object');
}

interface Table {
  problems: SourceItem[];
  find(ref: string): Promise<Record<string, unknown> | undefined>;
  /** Rows of no file. */
  unmet(): Generator<SourceItem>;
  close(): Promise<void>;
}

/** Rows in any order, kept on disk and found by their refs. */
async function indexRows({ rows }: Rows): Promise<Table> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-ingest-'));
  const path = join(folder, 'rows');
  const index = createSortedIndex(3);
  const problems: SourceItem[] = [];
  const output = createWriteStream(path);
  let end = 0;
  for await (const row of rows) {
    if (row.type === 'refused') {
      problems.push(row);
      continue;
    }
    const bytes = Buffer.from(JSON.stringify({ where: row.where, metadata: row.metadata }));
    index.add(Buffer.from(row.ref), [end, bytes.length]);
    end += bytes.length;
    if (!output.write(bytes)) await once(output, 'drain');
  }
  output.end();
  await finished(output);
  index.sort();
  const met = new Uint8Array(index.length);
  const file = await open(path);
  const read = async (position: number): Promise<Pick<Row, 'where' | 'metadata'>> => {
    const [start = 0, length = 0] = index.at(position).numbers;
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, start);
    return JSON.parse(buffer.toString('utf8')) as Pick<Row, 'where' | 'metadata'>;
  };
  return {
    problems,
    async find(ref) {
      const key = Buffer.from(ref);
      const position = index.seek(key);
      if (position >= index.length || !index.at(position).key.equals(key)) return undefined;
      met[position] = 1;
      return (await read(position)).metadata;
    },
    *unmet() {
      for (let position = 0; position < index.length; position++) {
        const ref = index.at(position).key.toString('utf8');
        const isSecond = position > 0 && index.at(position - 1).key.toString('utf8') === ref;
        const reason = isSecond ? 'another row of the metadata has the same ref' : 'there is no file of this ref';
        if (isSecond || met[position] !== 1) yield { type: 'refused', where: 'the metadata', ref, reason };
      }
    },
    async close() {
      await file.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
