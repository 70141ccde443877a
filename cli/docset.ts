/** `adit docset create | upload | list | show | members | union | intersect | minus | copy | delete` */
import { clientOf, harmless, print, printJson, printTable, readQuery, type MinerOptions } from './miner-settings.js';
import { RefusedError } from './miner/errors.js';
import type { SetOperation } from './miner-commands.js';
import type { Docset, NewDocset } from './miner/miner-client.js';

export interface DocsetOptions extends MinerOptions {
  name?: string;
}

export interface UploadOptions extends DocsetOptions {
  collection?: string;
  skipUnknown?: boolean;
}

export async function createDocset(collection: string, query: string, options: DocsetOptions): Promise<void> {
  await make({ collection, query: readQuery(query) }, options);
}

/** Those that are no documents of the collection are told on standard error, and the exit code is 2. */
export async function uploadDocset(file: string, options: UploadOptions): Promise<void> {
  const { name, collection, skipUnknown = false } = options;
  const client = clientOf(options);
  const facts = { name, collection, unknown: skipUnknown ? 'report' : 'refuse' } as const;
  const made = await client.uploadDocset(file, facts).catch((error: unknown) => Promise.reject(inOurWords(error)));
  tellMade(made, options);
  if (made.unknown === 0) return;
  for await (const member of client.unknownMembers(made.id)) process.stderr.write(`unknown: ${harmless(member)}\n`);
  process.exitCode = 2;
}

/** The server tells of its parameters, which are options here. */
function inOurWords(error: unknown): unknown {
  if (!(error instanceof RefusedError)) return error;
  const { problem, slug } = error;
  if (slug === 'collection-required')
    return new Error('The server has several collections: name one with --collection.');
  const detail = problem.detail.replace('With unknown=report the docset', 'With --skip-unknown the docset');
  return slug === 'members-unknown' ? new RefusedError({ ...problem, detail }) : error;
}

export async function combineDocsets(how: SetOperation, ids: readonly string[], options: DocsetOptions): Promise<void> {
  await make({ [how]: [...ids] }, options);
}

export async function copyDocset(id: string, options: DocsetOptions): Promise<void> {
  await make({ copy: id }, options);
}

export async function listDocsets(options: MinerOptions): Promise<void> {
  const docsets: Docset[] = [];
  for await (const docset of clientOf(options).docsets()) {
    if (options.json === true) printJson(docset);
    else docsets.push(docset);
  }
  if (options.json === true) return;
  const rows = docsets.map(({ id, name, collection, documents, created }) => [
    id,
    name,
    collection,
    documents,
    created.slice(0, 10),
  ]);
  printTable(['docset', 'name', 'collection', 'documents', 'created'], rows);
}

export async function showDocset(id: string, options: MinerOptions): Promise<void> {
  const docset = await clientOf(options).docset(id);
  if (options.json === true) {
    printJson(docset);
    return;
  }
  const { name, collection, documents, generator, description, created } = docset;
  const facts = { docset: id, name, description, collection, documents, 'made of': generator, created };
  printTable(
    ['', ''],
    Object.entries(facts).filter(([, value]) => value !== null),
  );
}

export async function listMembers(id: string, options: MinerOptions): Promise<void> {
  for await (const member of clientOf(options).members(id)) {
    if (options.json === true) printJson(member);
    else print(member.ref);
  }
}

export async function deleteDocsets(ids: readonly string[], options: MinerOptions): Promise<void> {
  const client = clientOf(options);
  for (const id of ids) {
    await client.deleteDocset(id);
    if (options.json === true) printJson({ docset: id, deleted: true });
    else print(`Docset ${id} is deleted.`);
  }
}

async function make(docset: NewDocset, options: DocsetOptions): Promise<void> {
  const named = options.name === undefined ? docset : { ...docset, name: options.name };
  tellMade(await clientOf(options).createDocset(named), options);
}

/** To a pipe the id alone: `adit dump $(adit docset create …)`. */
function tellMade(made: Docset, { json }: MinerOptions): void {
  if (json === true) printJson(made);
  else if (process.stdout.isTTY) print(`Docset ${made.id} has ${made.documents} documents.`);
  else print(made.id);
}
