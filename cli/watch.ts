/** `adit watch create | list | show | news | delete` */
import { clientOf, harmless, print, printJson, printTable, readQuery, type MinerOptions } from './miner-settings.js';
import type { Watch } from './miner/miner-client.js';

export interface WatchOptions extends MinerOptions {
  name?: string;
}

export interface NewsOptions extends MinerOptions {
  seen?: boolean;
}

/** To a pipe the id alone: `adit watch news $(adit watch create …)`. */
export async function createWatch(collection: string, query: string, options: WatchOptions): Promise<void> {
  const { name, json } = options;
  const named = name === undefined ? {} : { name };
  const watch = await clientOf(options).createWatch(collection, { ...named, query: readQuery(query) });
  if (json === true) printJson(watch);
  else if (process.stdout.isTTY)
    print(`Watch ${watch.id}: "adit watch news ${watch.id}" tells what has appeared since.`);
  else print(watch.id);
}

export async function listWatches(collection: string, options: MinerOptions): Promise<void> {
  const watches: Watch[] = [];
  for await (const watch of clientOf(options).watches(collection)) {
    if (options.json === true) printJson(watch);
    else watches.push(watch);
  }
  if (options.json === true) return;
  const rows = watches.map(({ id, name, query, since, created }) => [
    id,
    name,
    asTyped(query),
    since,
    created.slice(0, 10),
  ]);
  printTable(['watch', 'name', 'query', 'seen up to', 'created'], rows);
}

/** How much is new, without the documents. */
export async function showWatch(id: string, options: MinerOptions): Promise<void> {
  const watch = await clientOf(options).watchNews(id);
  if (options.json === true) {
    printJson({ ...watch, documents: undefined });
    return;
  }
  const { name, query, collection_url, since, until, added, changed, withdrawn } = watch;
  const collection = collection_url.slice(collection_url.lastIndexOf('/') + 1);
  const facts = {
    name,
    collection,
    query: asTyped(query),
    'seen up to': since,
    'now at': until,
    added,
    changed,
    withdrawn,
  };
  printTable(['', ''], Object.entries({ watch: id, ...facts }));
}

/** The documents, one a line as it comes. They are told again until they are said to be seen. */
export async function tellNews(id: string, options: NewsOptions): Promise<void> {
  const client = clientOf(options);
  // Before the documents: what comes between the two is told now, and again the next time.
  const { until } = await client.watchNews(id);
  for await (const item of client.newsItems(id)) {
    if (options.json === true) printJson(item);
    else print([item.change, item.ref, item.title ?? '-'].map(harmless).join('\t'));
  }
  if (options.seen === true) await client.markSeen(id, until);
}

export async function deleteWatches(ids: readonly string[], options: MinerOptions): Promise<void> {
  const client = clientOf(options);
  for (const id of ids) {
    await client.deleteWatch(id);
    if (options.json === true) printJson({ watch: id, deleted: true });
    else print(`Watch ${id} is deleted.`);
  }
}

const asTyped = (query: unknown): string => (typeof query === 'string' ? query : JSON.stringify(query));
