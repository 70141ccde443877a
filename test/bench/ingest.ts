/**
 * What an ingest costs beside `zip -6` of the same files, and beside `COPY` and the text index in psql: `npm run bench:ingest`.
 * Needs PostgreSQL (test/servers) and Info-ZIP. The texts are those of `npm run bench:packaging`, CORPUS_MB of them from all over the
 * corpus. Prints ratios of one run, and last the same as one line of JSON.
 */
import { execFile } from 'node:child_process';
import { createReadStream, createWriteStream } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { openCorpus } from './corpus/build-corpus.js';
import { createRatios, interleave } from './measure.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 5);
const LARGEST_CORPUS = Number(process.env['CORPUS_MB'] ?? 100) * 1_000_000;

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'adit-bench-'));
const postgresql = await startPostgreSQL({ settings: { client_min_messages: 'warning', shared_buffers: '128MB' } });
try {
  await compare();
} finally {
  await postgresql.close();
  await rm(folder, { recursive: true });
}

async function compare(): Promise<void> {
  const corpus = await gather();
  process.stdout.write(`${corpus.count} texts, ${(corpus.bytes / 1e6).toFixed(0)} MB, ${ROUNDS} rounds\n`);
  const sizes = { zip: 0, segments: 0 };
  const zip = async () => {
    const path = join(folder, 'corpus.zip');
    await rm(path, { force: true });
    const started = performance.now();
    await run('zip', ['-6', '-q', '-r', path, 'texts'], { cwd: folder });
    const took = performance.now() - started;
    sizes.zip = (await stat(path)).size;
    return took;
  };
  const ingest = async () => {
    const { took, stored } = await ingestOnce();
    sizes.segments = stored;
    return took;
  };
  const figures = await interleave(
    { zip, ingest, psql: psqlIndex, vectors: psqlVectors },
    { rounds: ROUNDS, warmUp: 1 },
  );
  const median = (name: string): number => figures[name]?.p50 ?? NaN;
  const speed = (name: string): string => `${(corpus.bytes / 1e3 / median(name)).toFixed(1)} MB/s`;
  process.stdout.write(`zip -6                                        ${speed('zip')}\n`);
  process.stdout.write(`ingest: deflate, segments, rows, text index   ${speed('ingest')}\n`);
  process.stdout.write(`psql: COPY, to_tsvector, index afterwards     ${speed('psql')}\n`);
  process.stdout.write(`psql: to_tsvector of what is there, no index  ${speed('vectors')}\n`);
  const ratios = createRatios();
  ratios.add('ingest_to_zip', 'ingest: speed / zip -6', median('zip') / median('ingest'), { least: 1.5 });
  ratios.add('vectors_alone_to_zip', 'to_tsvector alone: speed / zip -6', median('zip') / median('vectors'));
  ratios.add('ingest_to_psql', 'ingest: speed / COPY and index in psql', median('psql') / median('ingest'), {
    least: 0.9,
  });
  ratios.add('segments_to_zip_size', 'segments: size / zip -6', sizes.segments / sizes.zip, { most: 1 });
  ratios.print();
}

/** The texts as files, as lines for the ingest door, and as lines for COPY; all of them read once before. */
async function gather(): Promise<{ count: number; bytes: number }> {
  const corpus = await openCorpus();
  const every = Math.max(1, Math.floor(corpus.bytes / LARGEST_CORPUS));
  const lines = createWriteStream(join(folder, 'texts.jsonl'));
  const rows = createWriteStream(join(folder, 'texts.copy'));
  let count = 0;
  let bytes = 0;
  await mkdir(join(folder, 'texts'));
  for (const { ref } of corpus.documents.filter((_, index) => index % every === 0)) {
    if (bytes >= LARGEST_CORPUS) break;
    const path = join(corpus.folder, `${ref}.txt`);
    const content = await readFile(path);
    const text = content.toString();
    await copyFile(path, join(folder, 'texts', `${ref}.txt`));
    const isFull = [
      lines.write(`${JSON.stringify({ ref, metadata: { title: ref }, files: { txt: { text } } })}\n`),
      rows.write(`${ref}\t${escapeForCopy(text)}\n`),
    ].includes(false);
    if (isFull) await Promise.all([drained(lines), drained(rows)]);
    count += 1;
    bytes += content.length;
  }
  await Promise.all([ended(lines), ended(rows)]);
  return { count, bytes };
}

type Output = ReturnType<typeof createWriteStream>;

function drained(stream: Output): Promise<void> {
  return stream.writableNeedDrain ? new Promise((resolve) => stream.once('drain', resolve)) : Promise.resolve();
}

function ended(stream: Output): Promise<void> {
  return new Promise((resolve) => stream.end(resolve));
}

function escapeForCopy(text: string): string {
  return text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t');
}

/** Into an api-server of its own and an empty database; timed from the first byte of the request to the report. */
async function ingestOnce(): Promise<{ took: number; stored: number }> {
  const databaseUrl = await postgresql.createDatabase();
  const database = await openDatabase({ databaseUrl, dataDir: folder });
  const { key } = await createMiner(database.knex, { name: 'bench', role: 'admin' });
  await database.knex('collections').insert({ id: 'texts', name: 'texts', language: 'english', schema: '{}' });
  const dataDir = await mkdtemp(join(folder, 'server-'));
  const port = await freePort();
  const env = {
    DATABASE_URL: databaseUrl,
    DATA_DIR: dataDir,
    PORT: String(port),
    BROKER_URL: 'stomp://127.0.0.1:1',
    PACKAGER_KEY: 'not-used-in-this-benchmark',
  };
  const server = await startAdit('api-server', env, join(folder, 'server.log'));
  try {
    const started = performance.now();
    const response = await fetch(`http://127.0.0.1:${port}/api/collections/texts/documents`, {
      method: 'POST',
      headers: { 'X-API-Key': key, 'Content-Type': 'application/x-ndjson' },
      body: createReadStream(join(folder, 'texts.jsonl'), { highWaterMark: 1 << 20 }),
      duplex: 'half',
    } as unknown as RequestInit);
    const report = (await response.json()) as { added: number; refused: object[] };
    const took = performance.now() - started;
    if (response.status !== 200 || report.refused.length > 0) throw new Error(JSON.stringify(report).slice(0, 500));
    const total = await database.knex('segments').sum<{ sum: string }[]>({ sum: 'size' });
    return { took, stored: Number(total[0]?.sum) };
  } finally {
    await server.stop();
    await database.close();
    await rm(dataDir, { recursive: true });
  }
}

/** The least that the text index can cost: one statement each, and the index when everything is there. */
async function psqlIndex(): Promise<number> {
  const url = await postgresql.createDatabase();
  const started = performance.now();
  await psql(
    url,
    `create table texts (ref text, body text);
     \\copy texts from '${join(folder, 'texts.copy')}'
     create table documents (id bigint generated always as identity primary key, ref text collate "C", tsv tsvector);
     insert into documents (ref, tsv) select ref, to_tsvector('english', body) from texts;
     create unique index on documents (ref);
     create index on documents using gin (tsv);`,
  );
  return performance.now() - started;
}

async function psqlVectors(): Promise<number> {
  const url = await postgresql.createDatabase();
  await psql(url, `create table texts (ref text, body text);\n\\copy texts from '${join(folder, 'texts.copy')}'\n`);
  const started = performance.now();
  await psql(url, "select sum(length(to_tsvector('english', body))) from texts;");
  return performance.now() - started;
}

async function psql(url: string, script: string): Promise<void> {
  const child = run('psql', ['-q', '-v', 'ON_ERROR_STOP=1', url]);
  await pipeline([script], child.child.stdin ?? process.stdout);
  await child;
}
