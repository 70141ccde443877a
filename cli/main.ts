#!/usr/bin/env node
/**
 * The `adit` command: the only file that knows all commands. Each is a file of its own, read when it is called: a packager has no room
 * for what an api-server needs.
 */
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { addKeyCommands } from './keys.js';
import { exitCodeOf, explain } from './explain.js';
import type { IngestOptions } from './ingest.js';
import { addMinerCommands } from './miner-commands.js';
import { addQueueCommands } from './queues.js';

const program = new Command('adit')
  .description('Docsets for text miners: search, fix the result, ask for a dump, download one verified archive.')
  .version(version())
  .showHelpAfterError();

program
  .command('start')
  .description('run everything on embedded defaults: broker, database, api-server and packager (PORT, DATA_DIR)')
  .action(async () => (await import('./start.js')).runStart());
program
  .command('api-server')
  .description('run an api-server (configured by the environment)')
  .action(async () => (await import('./api-server.js')).runApiServer());
program
  .command('packager')
  .description('run a packager (configured by the environment)')
  .action(async () => (await import('./packager.js')).runPackager());
program
  .command('migrate')
  .description('bring the database up to date (DATABASE_URL, or DATA_DIR)')
  .action(async () => (await import('./migrate.js')).runMigrate());
program
  .command('verify')
  .description('read back every file that was ingested, and name what is corrupt (DATABASE_URL and S3_…, or DATA_DIR)')
  .option('--sweep', 'delete segments that no file lies in, and what killed processes left')
  .action(async (options: { sweep?: boolean }) => (await import('./verify.js')).runVerify(options));
program
  .command('reindex')
  .description(
    'fill the index of a collection in the search engine anew (SEARCH_URL, DATABASE_URL and S3_…, or DATA_DIR)',
  )
  .argument('<collection>', 'id of the collection')
  .action(async (collection: string) => (await import('./reindex.js')).runReindex(collection));
addKeyCommands(
  program.command('keys').description('make, list, rotate and revoke keys, and set quotas (DATABASE_URL, or DATA_DIR)'),
);
program
  .command('ingest')
  .description('bring a collection to what a source has; makes the collection where there is none')
  .argument('<collection>', 'id of the collection')
  .argument(
    '<source>',
    'folder, .zip, .tar(.gz), .jsonl(.gz) or .csv(.gz), as path or URL; - for JSON lines from a pipe',
  )
  .option('--url <url>', 'where the api-server is (or ADIT_URL; http://localhost:3000)')
  .option('--key <key>', 'an admin key; better in ADIT_KEY, since others see arguments')
  .option('--name <name>', 'name of the collection')
  .option('--description <text>', 'what the collection is')
  .option('--licence <licence>', 'licence of the collection')
  .option('--source <source>', 'where the collection comes from')
  .option('--language <language>', 'of its texts, where it is made (english)')
  .option('--schema <file>', 'JSON Schema that all metadata have to fit')
  .option('--partial', 'leave documents that the source does not have')
  .option('--withdraw-most', 'withdraw documents that the source does not have, even more than half of the collection')
  .option('--report <file>', 'write what was refused, and why, as CSV')
  .action(async (collection: string, source: string, options: IngestOptions) =>
    (await import('./ingest.js')).runIngest(collection, source, options),
  );
addQueueCommands(
  program
    .command('queues')
    .description('the broker: its configuration, how its queues are, and dead letters (BROKER_URL)'),
);
addMinerCommands(program);
program
  .command('demo')
  .description('run the whole path once, from a query to a verified archive, and clean up')
  .action(async () => (await import('./demo.js')).runDemo());

// Who reads no further, as `| head`, has what they wanted.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
  process.exit();
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${explain(error)}\n`);
  process.exitCode = exitCodeOf(error);
}

function version(): string {
  // From dist/cli in the built tree.
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  return manifest.version;
}
