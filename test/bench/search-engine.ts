/**
 * A docset of more hits than a search engine answers at once: `npm run bench:search-engine`. Each of DOCUMENTS (1000001) documents
 * is a row of metadata; `adit reindex` puts them into OpenSearch, and a docset is made of a query that finds them all. Says
 * how long both take, and how large the api-server ever was. Needs PostgreSQL and OpenSearch (test/servers).
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startOpenSearch } from '../servers/opensearch.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { makeRunFolder } from '../servers/run-folder.js';

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 1_000_001);
/** Megabytes that the api-server may have more than before. */
const MOST = 100;
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

const folder = makeRunFolder('bench');
const postgresql = await startPostgreSQL({ settings: { shared_buffers: '256MB' } });
const openSearch = await startOpenSearch();
try {
  await measure();
} finally {
  await openSearch.close();
  await postgresql.close();
  folder.remove();
}

async function measure(): Promise<void> {
  const databaseUrl = await postgresql.createDatabase();
  const database = await openDatabase({ databaseUrl, dataDir: folder.path });
  const env = { DATABASE_URL: databaseUrl, DATA_DIR: join(folder.path, 'data'), SEARCH_URL: openSearch.url };
  const port = String(await freePort());
  const settings = {
    ...env,
    PORT: port,
    BROKER_URL: 'stomp://127.0.0.1:1',
    PACKAGER_KEY: 'not-used-in-this-benchmark',
  };
  const server = await startAdit('api-server', settings, join(folder.path, 'server.log'));
  try {
    const { key } = await createMiner(database.knex, { name: 'bench', role: 'admin' });
    await fill(database);
    const [, indexing] = await timed(() => promisify(execFile)(process.execPath, [MAIN, 'reindex', 'many'], { env }));
    const before = await peakOf(server.pid);
    const [docset, making] = await timed(async () => {
      const response = await fetch(`http://127.0.0.1:${port}/api/docsets`, {
        method: 'POST',
        headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
        body: JSON.stringify({ collection: 'many', query: 'word' }),
      });
      return (await response.json()) as { documents?: number };
    });
    const after = await peakOf(server.pid);
    process.stdout.write(`${JSON.stringify({ documents: DOCUMENTS, indexing, making, before, after })}\n`);
    if (docset.documents !== DOCUMENTS) throw new Error(`the docset is ${JSON.stringify(docset)}`);
    if (after - before > MOST) process.exitCode = 1;
  } finally {
    await server.stop();
    await database.close();
  }
}

async function fill({ knex }: Database): Promise<void> {
  await knex('collections').insert({ id: 'many', name: 'many', language: 'english', schema: '{}', revision: 1 });
  const portion = 50_000;
  for (let first = 1; first <= DOCUMENTS; first += portion) {
    await knex.raw(
      `insert into documents (collection_id, ref, revision, current, digest, title, metadata, tsv, metadata_tsv)
       select 'many', 'r' || number, 1, true, '', 'word', '{}', '', '' from generate_series(?::int, ?::int) as number`,
      [first, Math.min(DOCUMENTS, first + portion - 1)],
    );
  }
  await knex.raw('analyze documents');
}

/** @returns the result, and seconds */
async function timed<T>(work: () => Promise<T>): Promise<[T, number]> {
  const started = performance.now();
  const result = await work();
  return [result, Math.round((performance.now() - started) / 100) / 10];
}

/** The largest resident set of a process so far, in MB. */
async function peakOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/^VmHWM:\s*(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
}
