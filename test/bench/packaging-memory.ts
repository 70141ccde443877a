/** What a packager's memory and time grow by: archives of several sizes, and of many members, out of generated segments. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32, deflateRawSync } from 'node:zlib';
import { makeRunFolder } from '../servers/run-folder.js';
import { MOST_MEMORY, type Ratios } from './measure.js';
import { startPackagerUnderTest, type Job } from './packaging-job.js';
import { startSource } from './packaging-source.js';

const MEGABYTE = 1_000_000;
const SEGMENTS = 2;
const SEGMENT = 64 * 1024 * 1024;

/** Documents that lie in segments again and again: as many members as are wanted, out of a few megabytes. */
interface Stock {
  method: 'deflate' | 'store';
  files: StockFile[];
  segments: { id: string; key: string; size: number }[];
}

interface StockFile {
  segment: string;
  offset: number;
  length: number;
  size: number;
  crc32: string;
  sha256: string;
  storedSha256: string;
}

/** On a disk, since an archive of 20 GB has no room in memory. */
export async function measureMemory(isLong: boolean, ratios: Ratios): Promise<void> {
  const folder = makeRunFolder('bench');
  const data = folder.path;
  await mkdir(join(data, 'content/segments/bench'), { recursive: true });
  try {
    // Bytes that deflate makes no smaller, for archives that are large rather than many documents.
    const large = await stock(data, 'store', () => randomBytes(MEGABYTE));
    for (const [name, megabytes] of isLong ? [...SIZES, ...LONG_SIZES] : SIZES) {
      const { peak } = await timeJob(data, large, megabytes);
      ratios.add(`memory_${name}`, `archive of ${name}: peak memory of the packager in MB`, peak, {
        most: MOST_MEMORY,
      });
    }
    const small = await stock(data, 'deflate', () => Buffer.from(randomBytes(600).toString('hex')));
    const [fewer, more] = isLong ? [100_000, 1_000_000] : [10_000, 100_000];
    const few = await timeJob(data, small, fewer);
    const many = await timeJob(data, small, more);
    const members = more.toLocaleString('en');
    ratios.add(`memory_${more}_members`, `${members} members: peak memory of the packager in MB`, many.peak, {
      most: MOST_MEMORY,
    });
    ratios.add(
      'time_of_tenfold',
      `${members} members: time / that of a tenth of them`,
      many.job.milliseconds / few.job.milliseconds,
      { most: 11 },
    );
  } finally {
    folder.remove();
  }
}

/** Archives by their length in megabytes. */
const SIZES: [string, number][] = [
  ['10_MB', 10],
  ['500_MB', 500],
];
const LONG_SIZES: [string, number][] = [
  ['5_GB', 5_000],
  ['20_GB', 20_000],
];

async function stock(data: string, method: Stock['method'], make: () => Buffer): Promise<Stock> {
  const files: StockFile[] = [];
  const segments: Stock['segments'] = [];
  for (let number = 1; number <= SEGMENTS; number++) {
    const id = `${method}-${number}`;
    const key = `segments/bench/${id}`;
    const pieces: Buffer[] = [];
    let offset = 0;
    while (offset < SEGMENT) {
      const content = make();
      const stored = method === 'deflate' ? deflateRawSync(content) : content;
      files.push({
        segment: id,
        offset,
        length: stored.length,
        size: content.length,
        crc32: crc32(content).toString(16).padStart(8, '0'),
        sha256: sha256(content),
        storedSha256: sha256(stored),
      });
      pieces.push(stored);
      offset += stored.length;
    }
    await writeFile(join(data, 'content', key), Buffer.concat(pieces));
    segments.push({ id, key, size: offset });
  }
  return { method, files, segments };
}

/** A job of so many members, in a packager that has done none before. */
async function timeJob(
  data: string,
  { method, files, segments }: Stock,
  members: number,
): Promise<{ job: Job; peak: number }> {
  const source = await startSource({
    count: members,
    *lines(url) {
      for (const { id, key, size } of segments) {
        yield JSON.stringify({ segment: { id, key, size, href: `${url}/api/segments/${id}` } });
      }
      for (let number = 0; number < members; number++) {
        const file = files[number % files.length] as StockFile;
        const ref = `document-${String(number).padStart(9, '0')}`;
        const { segment, offset, length, size, crc32, sha256, storedSha256 } = file;
        const stored = { segment, offset, length, method, crc32, sha256: storedSha256 };
        const document = `${url}/api/documents/${number}`;
        const txt = { href: `${document}/files/txt`, media_type: 'text/plain', size, sha256, stored };
        yield JSON.stringify({ ref, title: `Document ${number}`, url: document, files: { txt } });
      }
    },
  });
  const packager = await startPackagerUnderTest({
    apiUrl: source.url,
    packagerKey: 'a-key-of-a-packager',
    folder: data,
  });
  try {
    const job = await packager.run(source.docsetUrl);
    if (job.documents !== members || job.omitted !== 0) throw new Error(`${job.documents} members were packed`);
    const peak = packager.peakMemory();
    const seconds = (job.milliseconds / 1000).toFixed(2);
    process.stdout.write(
      `${members.toLocaleString('en')} members, ${(job.bytes / MEGABYTE).toFixed(0)} MB: ${seconds} s, peak memory ${peak.toFixed(0)} MB\n`,
    );
    return { job, peak };
  } finally {
    await packager.close();
    await source.close();
    await rm(join(data, 'archives'), { recursive: true, force: true });
  }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
