/**
 * What `adit ingest` needs of memory, by the kind of the source: `npm run bench:ingest-memory`. The same documents come as JSON lines,
 * which are ingested, and then as a folder, a zip, a tar.gz and a CSV, which are found to be there. Needs PostgreSQL (test/servers),
 * Info-ZIP and GNU tar.
 *
 *   DOCUMENTS=100000      how many, of two files each
 *   BYTES_EACH=3000       of the text of each: sentences of the sample collection, drawn by lot
 *   SOURCES=jsonl,folder,zip,tar,csv
 *   KILL_AT=0             a part of the documents, such as 0.5: there the first ingest is ended by SIGKILL, and the command given again
 *   DATABASE_URL          an empty database to fill, which is kept; unset: one that is made for this, and deleted
 *
 * 10 GB in 1,000,000 documents: `DOCUMENTS=1000000 BYTES_EACH=10000 SOURCES=jsonl KILL_AT=0.5`, with 50 GB free in TMPDIR.
 */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { finished } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { sotuDocuments } from '../../cli/sample/sotu.js';
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { makeRunFolder } from '../servers/run-folder.js';

const {
  DOCUMENTS: documentsGiven = '100000',
  BYTES_EACH: bytesGiven = '3000',
  SOURCES: sourcesGiven = 'jsonl,folder,zip,tar,csv',
  KILL_AT: killGiven = '0',
  DATABASE_URL: databaseGiven,
} = process.env;
const DOCUMENTS = Number(documentsGiven);
const BYTES_EACH = Number(bytesGiven);
const SOURCES = sourcesGiven.split(',');
const KILL_AT = Math.floor(Number(killGiven) * DOCUMENTS);
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Megabytes that no ingest may take. */
const MOST = 512;

/** What is measured is memory: a power cut may lose this database. */
const SETTINGS = {
  ...{ client_min_messages: 'warning', shared_buffers: '1GB', maintenance_work_mem: '256MB', max_wal_size: '4GB' },
  ...{ fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' },
};

const run = promisify(execFile);
// On a disk: a corpus of 10 GB has no room in memory.
const folder = makeRunFolder('bench');
const postgresql = databaseGiven === undefined ? await startPostgreSQL({ settings: SETTINGS }) : undefined;
try {
  await measure(databaseGiven ?? (await postgresql?.createDatabase()) ?? '');
} finally {
  await postgresql?.close();
  folder.remove();
}

async function measure(databaseUrl: string): Promise<void> {
  const sources = await makeSources();
  const database = await openDatabase({ databaseUrl, dataDir: folder.path });
  const { key } = await createMiner(database.knex, { name: 'bench', role: 'admin' });
  const port = String(await freePort());
  const server = await startAdit(
    'api-server',
    {
      ...{ DATABASE_URL: databaseUrl, DATA_DIR: join(folder.path, 'data'), PORT: port },
      ...{ BROKER_URL: 'stomp://127.0.0.1:1', PACKAGER_KEY: 'not-used-in-this-benchmark' },
    },
    join(folder.path, 'server.log'),
  );
  const env = { ADIT_URL: `http://127.0.0.1:${port}`, ADIT_KEY: key };
  const written = async (): Promise<number> => {
    const row = await database.knex('collections').first<{ documents: string } | undefined>('documents');
    return Number(row?.documents ?? 0);
  };
  try {
    const peaks: Record<string, number> = {};
    if (KILL_AT > 0) {
      const [source = ''] = sources;
      const { peak, seconds } = await ingest(source, env, written, KILL_AT);
      peaks['killed'] = peak;
      tell(
        `${source}: killed when ${await written()} documents were there: ${peak} MB at most, ${seconds.toFixed(0)} s`,
      );
    }
    for (const source of sources) {
      const { peak, seconds, told } = await ingest(source, env, written);
      peaks[source.slice(folder.path.length + 1)] = peak;
      tell(`${source}: ${peak} MB at most, ${seconds.toFixed(0)} s: ${told.trim()}`);
    }
    const there = await written();
    peaks['api-server'] = await peakOf(server.pid);
    tell(JSON.stringify({ documents: DOCUMENTS, bytesEach: BYTES_EACH, peaks }));
    if (there !== DOCUMENTS) throw new Error(`${there} documents are there, and not ${DOCUMENTS}`);
    if (Object.entries(peaks).some(([name, peak]) => name !== 'api-server' && peak > MOST)) process.exitCode = 1;
  } finally {
    await server.stop();
    await database.close();
  }
}

function tell(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** The same documents in each form that is wanted, in the order in which they are to be ingested. */
async function makeSources(): Promise<string[]> {
  const path = (name: string): string => join(folder.path, name);
  const isWanted = (...names: string[]): boolean => names.some((name) => SOURCES.includes(name));
  const areFilesWanted = isWanted('folder', 'zip', 'tar', 'csv');
  const sentences = await sentencesOfSample();
  const lot = lotOf(sentences.length);
  const lines = createWriteStream(path('all.jsonl'));
  const rows = createWriteStream(path('all.csv'));
  rows.write('ref,title,file\n');
  for (let number = 0; number < DOCUMENTS; number++) {
    const ref = `${String(Math.floor(number / 1000)).padStart(4, '0')}/document-${String(number).padStart(7, '0')}`;
    const title = ref.slice(5);
    let text = `${title}. Word${number} and word${number % 977} are here.\n`;
    while (text.length < BYTES_EACH) text += `${sentences[lot()] ?? ''}\n`;
    const json = `{"number":${number}}`;
    if (areFilesWanted) {
      if (number % 1000 === 0) await mkdir(path(`files/${ref.slice(0, 4)}`), { recursive: true });
      await Promise.all([writeFile(path(`files/${ref}.txt`), text), writeFile(path(`files/${ref}.json`), json)]);
    }
    const files = { txt: { text }, json: { text: json } };
    const hasRoom = lines.write(`${JSON.stringify({ ref, metadata: { title }, files })}\n`);
    rows.write(`${ref},${title},files/${ref}.txt;files/${ref}.json\n`);
    if (!hasRoom) await once(lines, 'drain');
  }
  lines.end();
  rows.end();
  await Promise.all([finished(lines), finished(rows)]);
  if (isWanted('zip')) await run('zip', ['-1', '-q', '-r', path('all.zip'), 'files'], { cwd: folder.path });
  if (isWanted('tar')) await run('tar', ['czf', path('all.tar.gz'), 'files'], { cwd: folder.path });
  const names = { jsonl: 'all.jsonl', folder: 'files', zip: 'all.zip', tar: 'all.tar.gz', csv: 'all.csv' };
  return Object.entries(names).flatMap(([kind, name]) => (isWanted(kind) ? path(name) : []));
}

async function sentencesOfSample(): Promise<string[]> {
  const sentences: string[] = [];
  for await (const { files } of sotuDocuments()) {
    const { txt } = files;
    if (txt !== undefined && 'text' in txt) sentences.push(...txt.text.split(/(?<=[.!?])\s+/).filter(Boolean));
  }
  return sentences;
}

/** Numbers below `most`, the same ones in each run (xorshift). */
function lotOf(most: number): () => number {
  let state = 2_463_534_242;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % most;
  };
}

/**
 * @param killAt how many documents are there when the command is killed
 * @returns the largest resident set that the command ever had, in MB
 */
async function ingest(source: string, env: Record<string, string>, written: () => Promise<number>, killAt?: number) {
  const started = performance.now();
  const child = spawn(process.execPath, [MAIN, 'ingest', 'bench', source], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
  const ended = once(child, 'close');
  let peak = 0;
  let lastTold = started;
  const seconds = (): number => (performance.now() - started) / 1000;
  while (child.exitCode === null && child.signalCode === null) {
    peak = Math.max(peak, await peakOf(child.pid ?? 0));
    if (performance.now() - lastTold > 30_000) {
      lastTold = performance.now();
      const there = await written();
      tell(`  ${seconds().toFixed(0)} s: ${there} documents are there, ${peak} MB at most`);
      if (killAt !== undefined && there >= killAt) child.kill('SIGKILL');
    }
    await Promise.race([ended, sleep(100)]);
  }
  await ended;
  const isAsWanted = killAt === undefined ? child.exitCode === 0 : child.signalCode === 'SIGKILL';
  if (!isAsWanted) throw new Error(`adit ingest ended with ${String(child.exitCode ?? child.signalCode)}: ${told}`);
  return { peak, seconds: seconds(), told };
}

/** The largest resident set of a process so far, in MB; 0 where it is gone. The mark only rises, and is gone with the process. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '');
  return Math.round(Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}
