/**
 * What making a docset costs over HTTP, beside the bare INSERT … SELECT in psql: `npm run bench:docsets`. Needs PostgreSQL (test/servers).
 * Prints a ratio of medians of one run, what else is done with docsets of that size in milliseconds, and last one line of JSON.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Knex } from 'knex';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner } from '../../api-server/miners/miners.js';
import { startAdit } from '../acceptance/adit-process.js';
import { freePort } from '../servers/free-ports.js';
import { startPostgreSQL } from '../servers/postgresql.js';
import { createRatios, interleave, medianOf } from './measure.js';

const DOCUMENTS = Number(process.env['DOCUMENTS'] ?? 100_000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 7);
const AT_MOST = 3;

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), 'adit-bench-'));
const postgresql = await startPostgreSQL({ settings: { client_min_messages: 'warning', shared_buffers: '256MB' } });
try {
  await compare(await postgresql.createDatabase());
} finally {
  await postgresql.close();
  await rm(folder, { recursive: true });
}

async function compare(databaseUrl: string): Promise<void> {
  const database = await openDatabase({ databaseUrl, dataDir: folder });
  const { key } = await createMiner(database.knex, { name: 'bench', role: 'miner' });
  await makeDocuments(database.knex);
  const port = await freePort();
  const env = {
    DATABASE_URL: databaseUrl,
    DATA_DIR: folder,
    PORT: String(port),
    BROKER_URL: 'stomp://127.0.0.1:1',
    PACKAGER_KEY: 'not-used-in-this-benchmark',
  };
  const server = await startAdit('api-server', env, join(folder, 'server.log'));
  const ask = async (path: string, init: RequestInit = {}): Promise<string> => {
    const headers = { 'X-API-Key': key, ...(init.headers as Record<string, string> | undefined) };
    const response = await fetch(`http://127.0.0.1:${port}/api${path}`, { ...init, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(text);
    return (response.headers.get('content-type') ?? '').includes('json') ? (JSON.parse(text) as never) : text;
  };
  const make = async (body: string, type = 'application/json', query = ''): Promise<string> => {
    const answer = await ask(`/docsets${query}`, { method: 'POST', headers: { 'Content-Type': type }, body });
    const made = JSON.parse(answer) as { id: string; documents: number };
    if (made.documents !== DOCUMENTS) throw new Error(`${made.documents} members instead of ${DOCUMENTS}`);
    return made.id;
  };
  try {
    const whole = await make('{"query":{"match_all":{}}}');
    const refs = await ask(`/docsets/${whole}/members`, { headers: { Accept: 'text/csv' } });
    const figures = await interleave(
      {
        http: () => make('{"query":{"match_all":{}}}'),
        psql: () => insertInPsql(database.knex, databaseUrl),
        list: () => make(refs, 'text/csv', '?collection=c'),
        union: () => make(JSON.stringify({ union: [whole, '1'] })),
        catalog: () => ask(`/docsets/${whole}/catalog`, { headers: { Accept: 'text/csv' } }),
        estimate: () => ask(`/docsets/${whole}/dump/estimate?fmt=meta,txt`),
      },
      { rounds: ROUNDS, warmUp: 1 },
    );
    for (const [name, { p50 }] of Object.entries(figures))
      process.stdout.write(`${name.padEnd(10)} ${p50.toFixed(0)} ms\n`);
    const ratios = createRatios();
    const ratio = medianOf(figures, 'http') / medianOf(figures, 'psql');
    ratios.add('docset', `a docset of ${DOCUMENTS} members over HTTP, to INSERT … SELECT in psql`, ratio, {
      most: AT_MOST,
    });
    ratios.print();
  } finally {
    await server.stop();
    await database.close();
  }
}

async function makeDocuments(knex: Knex): Promise<void> {
  await knex('collections').insert({ id: 'c', name: 'c', language: 'english', schema: '{}' });
  await knex('collection_formats').insert(['meta', 'txt'].map((format) => ({ collection_id: 'c', format })));
  await knex('segments').insert({ collection_id: 'c', key: 'segments/c/1', size: 1, sealed: new Date() });
  await knex.raw(
    `insert into documents (collection_id, ref, revision, current, digest, title, creator, date, metadata, tsv)
     select 'c', 'document-' || lpad(number::text, 8, '0'), 1, true, '', 'Title of ' || number, 'Nobody', '1900',
       '{}', to_tsvector('english', 'the text of ' || number)
     from generate_series(1, ?::int) as number`,
    [DOCUMENTS],
  );
  await knex.raw(
    `insert into files (document_id, format, media_type, size, sha256, segment_id, "offset", stored_length, method, crc32,
       stored_sha256)
     select d.id, format, 'text/plain', 1000, repeat('0', 64), s.id, 0, 400, 'deflate', 0, repeat('0', 64)
     from documents as d, unnest(array['meta', 'txt']) as format, segments as s`,
  );
  await knex.raw('vacuum analyze');
}

/** What psql says that the statement took, in milliseconds. */
async function insertInPsql(knex: Knex, url: string): Promise<number> {
  const facts = { owner: 'x', collection_id: 'c', generator: 'psql', members: DOCUMENTS };
  const [row] = await knex('docsets').insert(facts).returning<{ id: string }[]>('id');
  const statement = `insert into docset_members (docset_id, ref, document_id)
    select '${String(row?.id)}', ref, id from documents where collection_id = 'c' and current`;
  const { stdout } = await run('psql', ['-X', '-A', '-t', '-c', '\\timing on', '-c', statement, url]);
  const time = /^Time: ([\d.]+) ms/m.exec(stdout)?.[1];
  if (time === undefined) throw new Error(`psql told no time: ${stdout}`);
  return Number(time);
}
