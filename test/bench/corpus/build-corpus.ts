/**
 * A corpus of real documents for benchmarks: the texts of some Debian packages, as files of plain text. It is built once and
 * kept beside the servers of the tests, outside of the repository.
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { cacheFolder } from '../../servers/cache-folder.js';
import { PACKAGES } from './packages.js';
import { plainTextOf, tidy } from './plain-text.js';

export interface CorpusDocument {
  ref: string;
  title: string;
  /** Of the text in UTF-8. */
  size: number;
}

export interface Corpus {
  /** Of `<ref>.txt` for each document. */
  folder: string;
  /** In the order of their refs. */
  documents: readonly CorpusDocument[];
  bytes: number;
  /** Of all refs and texts: two figures are of one corpus where this is the same. */
  sha256: string;
}

/** Raised where a change makes other documents of the same packages. */
const RECIPE = 1;
const MARKUP = ['.html', '.htm', '.xhtml', '.xml', '.page', '.docbook'];
const PLAIN = ['.txt', '.rst', '.md', '.pod'];
/** What a text miner's documents are like; shorter ones are mostly indexes and redirects. */
const SHORTEST = 2_000;
const LONGEST = 200_000;

const run = promisify(execFile);

/** Builds the corpus where it is not there yet, which takes a few minutes and 450 MB of downloads. */
export async function openCorpus(): Promise<Corpus> {
  const recipe = createHash('sha256')
    .update(JSON.stringify([RECIPE, PACKAGES]))
    .digest('hex');
  const folder = join(cacheFolder(), `corpus-${recipe.slice(0, 12)}`);
  if (!existsSync(folder)) await build(folder);
  const { documents, sha256 } = JSON.parse(await readFile(join(folder, 'corpus.json'), 'utf8')) as Corpus;
  const bytes = documents.reduce((sum, { size }) => sum + size, 0);
  return { folder: join(folder, 'documents'), documents, bytes, sha256 };
}

async function build(folder: string): Promise<void> {
  const building = `${folder}.${process.pid}`;
  try {
    await mkdir(join(building, 'documents'), { recursive: true });
    await download(join(building, 'packages'));
    const hash = createHash('sha256');
    const documents: CorpusDocument[] = [];
    const seen = new Set<string>();
    for (const name of PACKAGES) {
      process.stderr.write(`corpus: ${name}\n`);
      await addPackage(building, name, { hash, documents, seen });
    }
    documents.sort((one, other) => (one.ref < other.ref ? -1 : 1));
    await rm(join(building, 'packages'), { recursive: true });
    await writeFile(join(building, 'corpus.json'), JSON.stringify({ documents, sha256: hash.digest('hex') }));
    await rename(building, folder);
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function download(folder: string): Promise<void> {
  await mkdir(folder);
  const fetchAll = () => run('apt-get', ['download', '-qq', ...PACKAGES], { cwd: folder });
  process.stderr.write('corpus: downloading packages\n');
  try {
    await fetchAll();
  } catch {
    // Its lists are older than what is to be had, or there are none.
    await run('apt-get', ['update', '-qq']);
    await fetchAll();
  }
}

interface Gathered {
  hash: ReturnType<typeof createHash>;
  documents: CorpusDocument[];
  /** Digests of texts: what lies in two places is one document. */
  seen: Set<string>;
}

async function addPackage(building: string, name: string, { hash, documents, seen }: Gathered): Promise<void> {
  const packages = join(building, 'packages');
  const file = (await readdir(packages)).find((found) => found.startsWith(`${name}_`));
  if (file === undefined) throw new Error(`apt-get has not brought ${name}`);
  const unpacked = join(building, 'unpacked');
  await run('dpkg-deb', ['--extract', join(packages, file), unpacked]);
  let number = 0;
  for (const path of await filesBelow(unpacked)) {
    const page = await readPage(path);
    if (page === undefined) continue;
    const text = Buffer.from(page.text);
    if (text.length < SHORTEST || text.length > LONGEST) continue;
    const digest = createHash('sha256').update(text).digest('base64');
    if (seen.has(digest)) continue;
    seen.add(digest);
    const ref = `${name}-${String(++number).padStart(5, '0')}`;
    await writeFile(join(building, 'documents', `${ref}.txt`), text);
    hash.update(`${ref}\n`).update(text);
    documents.push({ ref, title: page.title === '' ? ref : page.title, size: text.length });
  }
  await rm(unpacked, { recursive: true });
}

/** In an order that follows from their names alone. */
async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
}

/** Undefined where a file is no text. */
async function readPage(path: string): Promise<{ title: string; text: string } | undefined> {
  const isZipped = path.endsWith('.gz');
  const extension = extname(isZipped ? path.slice(0, -3) : path).toLowerCase();
  if (!MARKUP.includes(extension) && !PLAIN.includes(extension)) return undefined;
  const bytes = await readFile(path);
  const content = isZipped ? gunzipSync(bytes) : bytes;
  const text = content.toString();
  if (text.includes('\0') || text.includes('\ufffd')) return undefined;
  return MARKUP.includes(extension) ? plainTextOf(text) : { title: '', text: tidy(text) };
}
