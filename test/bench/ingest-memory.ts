/**
 * What `adit ingest` needs of memory, by the kind of the source: `npm run bench:ingest-memory`. The same documents come as JSON lines,
 * which are ingested, and then as a folder, a zip, a tar.gz and a CSV, which are found to be there. Needs PostgreSQL (test/servers),
 * Info-ZIP and GNU tar. DOCUMENTS (100000) says how many, of two files each.
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
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { makeRunFolder } from '../servers/run-folder.js';

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 100_000);
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
/** Megabytes that no ingest may take. */
const MOST = 512;

const run = promisify(execFile);
// On a disk: a corpus of 10 GB has no room in memory.
const folder = makeRunFolder('bench');
const postgresql = await startPostgreSQL({ settings: { client_min_messages: 'warning' } });
try {
  await measure();
} finally {
  await postgresql.close();
  folder.remove();
}

async function measure(): Promise<void> {
  const sources = await makeSources();
  const databaseUrl = await postgresql.createDatabase();
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
  try {
    const peaks: Record<string, number> = {};
    for (const source of sources) {
      const { peak, seconds, told } = await ingest(source, { ADIT_URL: `http://127.0.0.1:${port}`, ADIT_KEY: key });
      peaks[source.slice(folder.path.length + 1)] = peak;
      process.stdout.write(`${source}: ${peak} MB at most, ${seconds.toFixed(0)} s: ${told.trim()}\n`);
    }
    process.stdout.write(`${JSON.stringify({ documents: DOCUMENTS, peaks })}\n`);
    if (Object.values(peaks).some((peak) => peak > MOST)) process.exitCode = 1;
  } finally {
    await server.stop();
    await database.close();
  }
}

/** The same documents five times, those that are ingested first. */
async function makeSources(): Promise<string[]> {
  const path = (name: string): string => join(folder.path, name);
  const lines = createWriteStream(path('all.jsonl'));
  const rows = createWriteStream(path('all.csv'));
  rows.write('ref,title,file\n');
  for (let number = 0; number < DOCUMENTS; number++) {
    const ref = `${String(Math.floor(number / 1000)).padStart(4, '0')}/document-${String(number).padStart(7, '0')}`;
    const title = ref.slice(5);
    const text = `${title}. ${`Word${number} and word${number % 977} are here. `.repeat(40)}`;
    const json = `{"number":${number}}`;
    if (number % 1000 === 0) await mkdir(path(`files/${ref.slice(0, 4)}`), { recursive: true });
    await Promise.all([writeFile(path(`files/${ref}.txt`), text), writeFile(path(`files/${ref}.json`), json)]);
    const files = { txt: { text }, json: { text: json } };
    const hasRoom = lines.write(`${JSON.stringify({ ref, metadata: { title }, files })}\n`);
    rows.write(`${ref},${title},files/${ref}.txt;files/${ref}.json\n`);
    if (!hasRoom) await once(lines, 'drain');
  }
  lines.end();
  rows.end();
  await Promise.all([finished(lines), finished(rows)]);
  await run('zip', ['-1', '-q', '-r', path('all.zip'), 'files'], { cwd: folder.path });
  await run('tar', ['czf', path('all.tar.gz'), 'files'], { cwd: folder.path });
  return ['all.jsonl', 'files', 'all.zip', 'all.tar.gz', 'all.csv'].map(path);
}

/** @returns the largest resident set that the command ever had, in MB */
async function ingest(source: string, env: Record<string, string>) {
  const started = performance.now();
  const child = spawn(process.execPath, [MAIN, 'ingest', 'bench', source], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let told = '';
  child.stdout.on('data', (chunk: Buffer) => (told += chunk.toString()));
  const ended = once(child, 'close');
  let peak = 0;
  while (child.exitCode === null && child.signalCode === null) {
    // The mark only rises, and is gone with the process.
    const status = await readFile(`/proc/${child.pid ?? 0}/status`, 'utf8').catch(() => '');
    peak = Math.max(peak, Math.round(Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0) / 1024));
    await Promise.race([ended, sleep(100)]);
  }
  await ended;
  if (child.exitCode !== 0) throw new Error(`adit ingest ended with ${String(child.exitCode)}: ${told}`);
  return { peak, seconds: (performance.now() - started) / 1000, told };
}
