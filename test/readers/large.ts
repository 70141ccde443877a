/**
 * Archives of gigabytes before every reader: `npm run test:readers:large`, for a nightly run. Needs 5 GB of disk below
 * `TMPDIR`. Prints a table; its exit code is 1 where a reader found anything wrong or is missing.
 */
import { mkdtemp, open, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openPromise } from 'yauzl';
import { writeZip } from '../../packager/zip/write-zip.js';
import { DATE, oneByOne } from '../packager/zip/entries.js';
import { LARGE_ARCHIVES, type TestArchive } from './archives.js';
import { missingTools, READERS, readWith } from './readers.js';

const MIB = 1024 * 1024;

async function write({ entries }: TestArchive, path: string): Promise<number> {
  const file = await open(path, 'w');
  let count = 0;
  try {
    const bytes = writeZip(oneByOne(entries()), { date: DATE, onFinished: (contents) => (count = contents.entries) });
    for await (const piece of bytes) await file.writev([piece]);
  } finally {
    await file.close();
  }
  return count;
}

/** yauzl reads the directory, and the contents that are not gigabytes of zeros. */
async function readWithYauzl(path: string, expected: number): Promise<void> {
  const zip = await openPromise(path, { lazyEntries: true, strictFileNames: true });
  let count = 0;
  for await (const entry of zip.eachEntry()) {
    count += 1;
    if (entry.uncompressedSize > MIB) continue;
    let size = 0;
    for await (const piece of await zip.openReadStreamPromise(entry)) size += (piece as Buffer).length;
    if (size !== entry.uncompressedSize) throw new Error(`${entry.fileName} has ${size} bytes`);
  }
  if (count !== expected) throw new Error(`found ${count} entries of ${expected}`);
}

/** @returns false where it failed */
async function tried(title: string, work: () => Promise<unknown>): Promise<boolean> {
  const started = performance.now();
  const failure = await work().then(
    () => undefined,
    (error: unknown) => error as Error,
  );
  const seconds = ((performance.now() - started) / 1000).toFixed(1).padStart(7);
  console.log(`${failure === undefined ? 'ok    ' : 'FAILED'} ${seconds} s  ${title}`);
  if (failure !== undefined) console.log(failure.message);
  return failure === undefined;
}

async function main(): Promise<boolean> {
  const missing = missingTools(READERS);
  if (missing.length > 0) {
    console.log(`FAILED needs ${missing.join(' and ')}: test/servers/install.sh readers`);
    return false;
  }
  const folder = await mkdtemp(join(tmpdir(), 'adit-large-'));
  let isFine = true;
  try {
    for (const archive of LARGE_ARCHIVES) {
      const path = join(folder, 'large.zip');
      let count = 0;
      isFine = (await tried(`${archive.title}: written`, async () => (count = await write(archive, path)))) && isFine;
      console.log(`                  ${Math.round((await stat(path)).size / MIB)} MiB, ${count} entries`);
      for (const reader of READERS) isFine = (await tried(`  ${reader}`, () => readWith(reader, path))) && isFine;
      isFine = (await tried('  yauzl', () => readWithYauzl(path, count))) && isFine;
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  return isFine;
}

process.exitCode = (await main()) ? 0 : 1;
