/** The commands of miners: `adit search | docset … | watch … | dump | status`. What they do is read when they are called. */
import { Option, type Command } from 'commander';
import type { DocsetOptions, UploadOptions } from './docset.js';
import type { DumpOptions } from './dump.js';
import type { EstimateOptions } from './estimate.js';
import type { MinerOptions } from './miner-settings.js';
import type { SearchOptions } from './search.js';
import type { NewsOptions, WatchOptions } from './watch.js';

export function addMinerCommands(program: Command): void {
  asMiner(program.command('search'))
    .description('how many documents a query finds, and the first of them; without a query, all')
    .argument('<collection>', 'id of the collection')
    .argument('[query]', QUERY)
    .option('--limit <number>', 'how many documents to show, 0 to 100', '10')
    .option('--sort <order>', 'ref, date or title, each with - for the other way round; or relevance')
    .option('--facets <fields>', 'how the hits are spread: fields separated by commas, or years, or decades')
    .action(async (collection: string, query: string | undefined, options: SearchOptions) =>
      (await import('./search.js')).runSearch(collection, query, options),
    );
  addDocsetCommands(program.command('docset').description('make, list, combine, estimate and delete docsets'));
  addWatchCommands(program.command('watch').description('save queries, and learn what has appeared since'));
  asMiner(program.command('dump'))
    .description('have a docset, or what a query finds, as one verified archive; interrupted, the same command goes on')
    .argument('[docset]', 'id of the docset')
    .addOption(formats())
    .option('-o, --output <file>', 'where to put the archive (docset-<id>-<formats>.zip)')
    .option('--collection <collection>', 'with --query: the collection to search')
    .option('--query <query>', `with no docset: make one of what this finds; ${QUERY}`)
    .option('--name <name>', 'with --query: what to call the docset')
    .addOption(container())
    .option('--since <dump>', SINCE)
    .option('--overwrite', 'replace the file where it is another archive')
    .option('--retry-for <duration>', 'how long to wait for a server that is away or busy', '5m')
    .addOption(
      new Option('--progress <kind>', 'a bar where it is looked at; or, on standard error, JSON lines for programs')
        .choices(['bar', 'json', 'none'])
        .default('bar'),
    )
    .action(async (docset: string | undefined, options: DumpOptions) =>
      (await import('./dump.js')).runDump(docset, options),
    );
  asMiner(program.command('status'))
    .description('your dumps, newest first; or the newest dump of a docset')
    .argument('[docset]', 'id of the docset')
    .action(async (docset: string | undefined, options: MinerOptions) =>
      (await import('./status.js')).runStatus(docset, options),
    );
}

const QUERY = 'words as for a web search, or a tree in JSON';
const SINCE = 'only what was added or changed since this dump; its id, as "adit status" shows it';

const formats = (): Option => new Option('--fmt <formats>', 'formats, separated by commas').default('meta,txt');
const container = (): Option =>
  new Option('--archive <kind>', 'what the archive is').choices(['zip', 'tar.gz']).default('zip');

function addDocsetCommands(docset: Command): void {
  const run = async () => import('./docset.js');
  asMiner(docset.command('create'))
    .description('fix what a query finds')
    .argument('<collection>', 'id of the collection')
    .argument('<query>', QUERY)
    .option('--name <name>', 'what to call it')
    .action(async (collection: string, query: string, options: DocsetOptions) =>
      (await run()).createDocset(collection, query, options),
    );
  asMiner(docset.command('upload'))
    .description('fix the documents that a file names')
    .argument('<file>', '.csv with a column ref, id or url (a catalog.csv will do); .ndjson; or .txt, a ref a line')
    .option('--collection <collection>', 'id of the collection')
    .option('--name <name>', 'what to call it')
    .option('--skip-unknown', 'go on without those that are no documents of the collection, and list them')
    .action(async (file: string, options: UploadOptions) => (await run()).uploadDocset(file, options));
  asMiner(docset.command('list'))
    .description('your docsets, oldest first')
    .action(async (options: MinerOptions) => (await run()).listDocsets(options));
  asMiner(docset.command('show'))
    .description('one docset')
    .argument('<docset>', 'its id')
    .action(async (id: string, options: MinerOptions) => (await run()).showDocset(id, options));
  asMiner(docset.command('members'))
    .description('the refs of its documents, one a line; with --json, what is known of each')
    .argument('<docset>', 'its id')
    .action(async (id: string, options: MinerOptions) => (await run()).listMembers(id, options));
  asMiner(docset.command('estimate'))
    .description('how large a dump would be, and how long it would take; none is asked for')
    .argument('<docset>', 'its id')
    .addOption(formats())
    .addOption(container())
    .option('--since <dump>', SINCE)
    .action(async (id: string, options: EstimateOptions) => (await import('./estimate.js')).estimateDump(id, options));
  for (const [name, description] of SET_OPERATIONS) {
    asMiner(docset.command(name))
      .description(description)
      .argument('<docsets...>', 'ids of docsets')
      .option('--name <name>', 'what to call the new one')
      .action(async (ids: string[], options: DocsetOptions) => (await run()).combineDocsets(name, ids, options));
  }
  asMiner(docset.command('copy'))
    .description('another docset with the same documents')
    .argument('<docset>', 'its id')
    .option('--name <name>', 'what to call the new one')
    .action(async (id: string, options: DocsetOptions) => (await run()).copyDocset(id, options));
  asMiner(docset.command('delete'))
    .description('delete docsets, with their dumps')
    .argument('<docsets...>', 'ids of docsets')
    .action(async (ids: string[], options: MinerOptions) => (await run()).deleteDocsets(ids, options));
}

const SET_OPERATIONS = [
  ['union', 'a new docset of what is in any of them'],
  ['intersect', 'a new docset of what is in all of them'],
  ['minus', 'a new docset of what is in the first and in none of the others'],
] as const;

export type SetOperation = (typeof SET_OPERATIONS)[number][0];

function addWatchCommands(watch: Command): void {
  const run = async () => import('./watch.js');
  asMiner(watch.command('create'))
    .description('save a query; what it finds now is taken for known')
    .argument('<collection>', 'id of the collection')
    .argument('<query>', QUERY)
    .option('--name <name>', 'what to call it')
    .action(async (collection: string, query: string, options: WatchOptions) =>
      (await run()).createWatch(collection, query, options),
    );
  asMiner(watch.command('list'))
    .description('your watches of a collection, oldest first')
    .argument('<collection>', 'id of the collection')
    .action(async (collection: string, options: MinerOptions) => (await run()).listWatches(collection, options));
  asMiner(watch.command('show'))
    .description('one watch, and how many documents were added, changed or withdrawn')
    .argument('<watch>', 'its id')
    .action(async (id: string, options: MinerOptions) => (await run()).showWatch(id, options));
  asMiner(watch.command('news'))
    .description('these documents, one a line; told again until they are seen')
    .argument('<watch>', 'its id')
    .option('--seen', 'and take them for known from now on')
    .action(async (id: string, options: NewsOptions) => (await run()).tellNews(id, options));
  asMiner(watch.command('delete'))
    .description('delete watches')
    .argument('<watches...>', 'their ids')
    .action(async (ids: string[], options: MinerOptions) => (await run()).deleteWatches(ids, options));
}

/** Adds `--url`, `--key` and `--json`. */
function asMiner(command: Command): Command {
  return command
    .option('--url <url>', 'where the server is (or ADIT_URL; http://localhost:3000)')
    .option('--key <key>', 'your key; better in ADIT_KEY, since others see arguments')
    .option('--json', 'answer in JSON, for programs');
}
