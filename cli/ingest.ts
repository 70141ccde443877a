/** `adit ingest` */
import { readFile } from 'node:fs/promises';
import { ask, ensureCollection, type CollectionFacts, type Server } from './ingest/ingest-client.js';
import { ingestSource, WithdrawalTooLargeError, type Outcome, type Remark } from './ingest/ingest-source.js';
import { openSource } from './ingest/open-source.js';
import { startProgressBar } from './ingest/progress-bar.js';
import { openReportFile } from './ingest/report-file.js';
import { isUrl } from './ingest/sources/url.js';

export interface IngestOptions {
  url?: string;
  key?: string;
  name?: string;
  description?: string;
  licence?: string;
  source?: string;
  language?: string;
  /** Path of a JSON Schema. */
  schema?: string;
  partial?: boolean;
  withdrawMost?: boolean;
  /** Path of the report. */
  report?: string;
}

/** What a script may ask for; 1 is for what broke off. */
const SOME_REFUSED = 2;
const NOT_SEARCHABLE = 3;

const MOST_TOLD = 20;

/** Exit code 0 where all of it is in, 2 where some was refused, 3 where searches do not find it yet. @throws {Error} it broke off, or could not begin */
export async function runIngest(collection: string, given: string, options: IngestOptions): Promise<void> {
  const server = serverOf(options);
  await prepareCollection(server, collection, given, options);
  const schema = await ask<object>(server, 'GET', `/collections/${encodeURIComponent(collection)}/schema`);
  const report = options.report === undefined ? undefined : await openReportFile(options.report);
  const told: Remark[] = [];
  const onRemark = (remark: Remark): void => {
    report?.add(remark);
    if (remark.kind !== 'skipped' && told.length < MOST_TOLD) told.push(remark);
  };
  try {
    const source = await openSource(given, schema);
    const bar = startProgressBar(source);
    try {
      const outcome = await ingestSource(server, source, {
        collection,
        // Nobody knows whether a pipe was written to its end.
        partial: options.partial === true || given === '-',
        most: options.withdrawMost === true,
        onRemark,
        onProgress: (documents) => bar.show(documents),
      });
      bar.end();
      tellOutcome(outcome, told, options);
      if (!outcome.searchable) tellUnsearchable(collection);
    } catch (error) {
      bar.end();
      tellRemarks(told, told.length, options);
      if (error instanceof WithdrawalTooLargeError) throw error;
      const advice = 'Give the same command again: what is there is not sent again.';
      throw new Error(`The ingest broke off. ${advice}`, { cause: error });
    } finally {
      await source.close();
    }
  } finally {
    await report?.close();
  }
}

function serverOf({ url, key }: IngestOptions): Server {
  const found = key ?? process.env['ADIT_KEY'];
  if (found === undefined) throw new Error('An admin key is needed in ADIT_KEY ("adit keys create --role admin").');
  return { url: (url ?? process.env['ADIT_URL'] ?? 'http://localhost:3000').replace(/\/+$/, ''), key: found };
}

/** Makes the collection, or tells the one that is there what was given. */
async function prepareCollection(server: Server, id: string, given: string, options: IngestOptions): Promise<void> {
  const { description, licence, language } = options;
  const facts = {
    name: options.name ?? id,
    description,
    licence,
    source: options.source ?? (isUrl(given) ? given : undefined),
    schema: options.schema === undefined ? undefined : await readSchema(options.schema),
  } satisfies Partial<CollectionFacts>;
  if (await ensureCollection(server, { id, language, ...facts })) {
    process.stdout.write(`Made the collection ${id}.\n`);
    return;
  }
  const changes = { ...facts, name: options.name, source: options.source };
  if (Object.values(changes).every((value) => value === undefined)) return;
  await ask(server, 'PATCH', `/collections/${encodeURIComponent(id)}`, changes);
}

async function readSchema(path: string): Promise<object> {
  const value: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${path} is no JSON object.`);
  return value;
}

function tellOutcome(outcome: Outcome, told: Remark[], options: IngestOptions): void {
  const { added, changed, unchanged, refused, skipped, partlyIndexed, withdrawn, keptSince } = outcome;
  tellRemarks(told, refused + partlyIndexed, options);
  const parts = [`${added} added`, `${changed} changed`, `${unchanged} unchanged`];
  if (withdrawn !== null) parts.push(`${withdrawn} withdrawn`);
  parts.push(`${refused} refused`);
  if (skipped > 0) parts.push(`${skipped} other files skipped`);
  process.stdout.write(`${parts.join(', ')}.\n`);
  if (keptSince !== undefined) process.stderr.write(`Nothing was withdrawn: ${keptSince}.\n`);
  if (refused > 0) process.exitCode = SOME_REFUSED;
}

function tellUnsearchable(collection: string): void {
  process.stderr.write(
    `The documents are in, but the search engine does not have all of them: searches of ${collection} are refused until` +
      ` it has. "adit reindex ${collection}" on the server fills it, and so does the next ingest.\n`,
  );
  process.exitCode = NOT_SEARCHABLE;
}

function tellRemarks(told: Remark[], all: number, { report }: IngestOptions): void {
  for (const { kind, where, ref, reason } of told) {
    const document = ref === null || where === ref ? '' : ` (${ref})`;
    process.stderr.write(`${kind}: ${where}${document}: ${reason}\n`);
  }
  if (all > told.length) {
    const where = report === undefined ? '--report <file.csv> has all of them' : `all of them are in ${report}`;
    process.stderr.write(`… and ${all - told.length} more: ${where}.\n`);
  }
}
