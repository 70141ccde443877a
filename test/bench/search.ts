/**
 * What an exact count and a first page cost over HTTP, beside the same SQL in psql: `npm run bench:search`. Needs PostgreSQL
 * (test/servers). Prints ratios of the 95th percentiles of one run, and last the same as one line of JSON.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { promisify } from 'node:util';
import { findCollection } from '../../api-server/collections/collections.js';
import { compileFor, matchingDocuments } from '../../api-server/collections/matching.js';
import { pageOf, type Sort } from '../../api-server/collections/search-order.js';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { interleave, report } from './measure.js';

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 100_000);
const WORDS = Number(process.env['WORDS'] ?? 150);
const ROUNDS = Number(process.env['ROUNDS'] ?? 40);
const LIMIT = 10;
const AT_MOST = 10;

/** A word's number is its rank: the lower, the more frequent it is. */
const SEARCHES: Record<string, { query: unknown; sort: Sort }> = {
  'all documents': { query: { match_all: {} }, sort: 'ref' },
  'a frequent word': { query: 'word3', sort: 'ref' },
  'a rare word': { query: 'word9001', sort: 'ref' },
  'two words and a range': {
    query: { bool: { must: [{ match: { text: 'word40 word50' } }], filter: [{ range: { year: { gte: 1900 } } }] } },
    sort: 'ref',
  },
  'a term, by date': { query: { term: { party: 'p3' } }, sort: '-date' },
  'words of the title': { query: { match: { title: 'word20' } }, sort: 'ref' },
  'a frequent word, by relevance': { query: 'word3', sort: 'relevance' },
};

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'adit-bench-'));
const postgresql = await startPostgreSQL({ settings: { client_min_messages: 'warning', shared_buffers: '256MB' } });
try {
  await compare();
} finally {
  await postgresql.close();
  await rm(folder, { recursive: true });
}

async function compare(): Promise<void> {
  const databaseUrl = await postgresql.createDatabase();
  const database = await openDatabase({ databaseUrl, dataDir: folder });
  const { knex } = database;
  const { key } = await createMiner(knex, { name: 'bench', role: 'miner' });
  await makeDocuments(knex);
  const port = await freePort();
  const env = {
    DATABASE_URL: databaseUrl,
    DATA_DIR: folder,
    PORT: String(port),
    BROKER_URL: 'stomp://127.0.0.1:1',
    PACKAGER_KEY: 'not-used-in-this-benchmark',
  };
  const server = await startAdit('api-server', env, join(folder, 'server.log'));
  const ratios: Record<string, number> = {};
  try {
    const collection = await findCollection(knex, 'c');
    for (const [name, { query, sort }] of Object.entries(SEARCHES)) {
      const compiled = await compileFor(knex, collection, query);
      const matching = () => matchingDocuments(knex, collection, compiled);
      const counted = await matching().count<{ count: string }[]>({ count: '*' }).first();
      const hits = Number(counted?.count);
      const statements = [
        matching().count({ count: '*' }).toQuery(),
        pageOf(knex, matching(), compiled, { sort, after: undefined, skip: 0, limit: LIMIT, hits }).toQuery(),
      ];
      const overHttp = async () => {
        const response = await fetch(`http://127.0.0.1:${port}/api/collections/c/search`, {
          method: 'POST',
          headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
          body: JSON.stringify({ query, sort, limit: LIMIT }),
        });
        if (response.status !== 200) throw new Error(await response.text());
        const found = (await response.json()) as { hits: number };
        if (found.hits !== hits) throw new Error(`${name}: ${found.hits} hits instead of ${hits}`);
      };
      const psql = () => timeInPsql(databaseUrl, statements);
      const figures = await interleave({ http: overHttp, psql }, { rounds: ROUNDS, warmUp: 5 });
      const [http = NaN, sql = NaN] = [figures['http']?.p95, figures['psql']?.p95];
      ratios[name] = http / sql;
      report(`${name}, ${hits} hits: ${http.toFixed(1)} ms to ${sql.toFixed(1)} ms in psql`, http / sql, AT_MOST);
    }
  } finally {
    await server.stop();
    await database.close();
  }
  process.stdout.write(`${JSON.stringify(ratios)}\n`);
}

/** Texts in which the frequency of a word falls with its rank, as in any language. */
async function makeDocuments(knex: Parameters<typeof findCollection>[0]): Promise<void> {
  const started = performance.now();
  await knex('collections').insert({ id: 'c', name: 'c', language: 'english', schema: '{}' });
  await knex('collection_fields').insert(['title', 'year', 'party'].map((field) => ({ collection_id: 'c', field })));
  await knex.raw("set statement_timeout to '20min'");
  await knex.raw(
    `insert into documents (collection_id, ref, revision, current, digest, title, date, metadata, tsv, metadata_tsv)
     select 'c', 'r' || lpad(number::text, 8, '0'), 1, true, '', title, year::text, metadata,
       setweight(to_tsvector('english', title), 'A') || to_tsvector('english', body),
       jsonb_to_tsvector('english', metadata, '["string", "numeric", "boolean"]')
     from (
       select number, 1800 + number % 200 as year,
         string_agg('word' || floor(exp(random() * ln(20000)))::int, ' ') filter (where position <= 5) as title,
         string_agg('word' || floor(exp(random() * ln(20000)))::int, ' ') as body
       from generate_series(1, ?::int) as number, generate_series(1, ?::int) as position group by number
     ) as made,
     lateral jsonb_build_object('title', title, 'year', year, 'party', 'p' || number % 7) as metadata`,
    [DOCUMENTS, WORDS],
  );
  await knex.raw('vacuum analyze');
  process.stdout.write(`${DOCUMENTS} documents made in ${((performance.now() - started) / 1000).toFixed(0)} s\n`);
}

/** What psql says that the statements took in a session that has run them before, as a server's has. Milliseconds. */
async function timeInPsql(url: string, statements: readonly string[]): Promise<number> {
  const settings = ['set enable_seqscan to off', 'set jit to off'];
  const commands = [...settings, ...statements, '\\timing on', ...statements].flatMap((command) => ['-c', command]);
  const { stdout } = await run('psql', ['-X', '-A', '-t', ...commands, url], { maxBuffer: 16 * 1024 * 1024 });
  const times = [...stdout.matchAll(/^Time: ([\d.]+) ms/gm)].map(([, time]) => Number(time));
  if (times.length !== statements.length) throw new Error(`psql told no times: ${stdout.slice(0, 500)}`);
  return times.reduce((sum, time) => sum + time, 0);
}
