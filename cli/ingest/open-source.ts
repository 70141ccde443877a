/** Opens whatever `adit ingest` was given, by its name. */
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { archiveSource, type Archive } from './sources/archive.js';
import { openFolder, openerBelow } from './sources/folder.js';
import { readCsv, readJsonLines, rowItem, type FileOpener } from './sources/rows.js';
import { openTar } from './sources/tar.js';
import { isUrl, openUrl, readUrl } from './sources/url.js';
import { openZip } from './sources/zip.js';
import { RefusedFileError, type Source, type SourceItem } from './source.js';

/** A source as bytes. */
interface Bytes {
  /** What its kind follows from. */
  name: string;
  size: number | undefined;
  chunks: AsyncIterable<Buffer>;
  /** Files that its rows name. */
  open: FileOpener;
  /** Where it is a file of its own. */
  path?: string;
}

/**
 * @param source path, URL, or `-` for JSON lines from standard input
 * @param schema of the collection's metadata
 * @throws {Error} it is not there, or of no known kind
 */
export async function openSource(source: string, schema: object): Promise<Source> {
  if (source !== '-' && !isUrl(source) && (await stat(source)).isDirectory()) {
    return archiveSource(await openFolder(source), schema);
  }
  const bytes = await openBytes(source);
  const { name } = bytes;
  if (/\.zip$/i.test(name)) return archiveSource(await openZipOf(bytes), schema);
  if (/\.(tar|tar\.gz|tgz)$/i.test(name)) return archiveSource(await openTar(bytes.chunks), schema);
  if (/\.(jsonl|ndjson)(\.gz)?$/i.test(name)) return lineSource(bytes, (chunks) => readJsonLines(chunks, bytes.open));
  if (/\.csv(\.gz)?$/i.test(name)) return lineSource(bytes, (chunks) => csvItems(chunks, schema, bytes.open));
  throw new Error(
    `${source} is of no kind that can be read: a folder, .zip, .tar, .tar.gz, .jsonl, .jsonl.gz, .csv or .csv.gz.`,
  );
}

async function openBytes(source: string): Promise<Bytes> {
  if (source === '-') {
    const open: FileOpener = () => Promise.reject(new RefusedFileError('standard input has no files beside it'));
    return { name: 'standard-input.jsonl', size: undefined, chunks: process.stdin, open };
  }
  if (!isUrl(source)) {
    const { size } = await stat(source);
    const chunks = createReadStream(source, { highWaterMark: 1024 * 1024 });
    return { name: basename(source), size, chunks, open: openerBelow(dirname(source)), path: source };
  }
  const { url, size, chunks } = await openUrl(source);
  const names = [source, url].map((text) => basename(new URL(text).pathname));
  const name = names.find((text) => text.includes('.')) ?? source;
  return { name, size, chunks, open: (path) => readUrl(besideUrl(url, path)) };
}

/** @throws {RefusedFileError} where it would be on another server */
function besideUrl(url: string, path: string): string {
  const beside = URL.canParse(path, url) ? new URL(path, url) : undefined;
  if (beside?.origin !== new URL(url).origin) throw new RefusedFileError('it is not on the same server');
  return beside.href;
}

/** A zip begins with its end: one from a URL is put on disk first. */
async function openZipOf({ path, chunks }: Bytes): Promise<Archive> {
  if (path !== undefined) return openZip(path);
  const folder = await mkdtemp(join(tmpdir(), 'adit-ingest-'));
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const file = join(folder, 'source.zip');
    await pipeline(chunks, createWriteStream(file));
    const archive = await openZip(file);
    return {
      ...archive,
      close: async () => {
        await archive.close();
        await remove();
      },
    };
  } catch (error) {
    await remove();
    throw error;
  }
}

function lineSource(
  { name, size, chunks }: Bytes,
  items: (chunks: AsyncIterable<Buffer>) => AsyncIterable<SourceItem>,
): Source {
  let done = 0;
  const counted = (async function* () {
    for await (const chunk of chunks) {
      done += chunk.length;
      yield chunk;
    }
  })();
  const content: unknown = /\.gz$/i.test(name) ? Readable.from(counted).compose(createGunzip()) : counted;
  return {
    items: () => items(content as AsyncIterable<Buffer>),
    progress: () => ({ done, total: size, unit: 'bytes' }),
    close: () => Promise.resolve(),
  };
}

async function* csvItems(chunks: AsyncIterable<Buffer>, schema: object, open: FileOpener): AsyncGenerator<SourceItem> {
  const { rows } = await readCsv(chunks, schema);
  for await (const row of rows) yield row.type === 'row' ? rowItem(row, open) : row;
}
