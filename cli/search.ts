/** `adit search` */
import { clientOf, harmless, print, printJson, printTable, readQuery, type MinerOptions } from './miner-settings.js';
import type { Search, SearchResult } from './miner/miner-client.js';

export interface SearchOptions extends MinerOptions {
  limit: string;
  sort?: string;
  facets?: string;
}

export async function runSearch(collection: string, query: string | undefined, options: SearchOptions): Promise<void> {
  const limit = Number(options.limit);
  if (!Number.isInteger(limit) || limit < 0) throw new Error(`--limit is a number, not ${options.limit}.`);
  const result = await clientOf(options).search(collection, {
    query: query === undefined ? { match_all: {} } : readQuery(query),
    limit,
    ...(options.sort === undefined ? {} : { sort: options.sort as NonNullable<Search['sort']> }),
    ...(options.facets === undefined ? {} : { facets: facetsOf(options.facets) }),
  });
  if (options.json === true) printJson(result);
  else tell(result);
}

type Facets = NonNullable<Search['facets']>;

function facetsOf(text: string): Facets {
  return Object.fromEntries(
    text.split(',').map((name): [string, Facets[string]] => [name.trim(), facetOf(name.trim())]),
  );
}

/** `years` and `decades` are those of the dates; all else are fields of the metadata. */
function facetOf(name: string): Facets[string] {
  if (name === 'years') return { years: { interval: 1 } };
  if (name === 'decades') return { years: { interval: 10 } };
  return { terms: { field: name, size: 10 } };
}

function tell({ hits, documents, facets }: SearchResult): void {
  print(`${hits} documents`);
  if (documents.length > 0) {
    print('');
    const rows = documents.map(({ ref, date, creator, title }) => [ref, date, creator, title]);
    printTable(['ref', 'date', 'creator', 'title'], rows);
  }
  for (const [name, { buckets, values = 0, missing }] of Object.entries(facets)) {
    // In a terminal the table says it.
    print(process.stdout.isTTY ? '' : `\n${harmless(name)}`);
    const rows = buckets.map(({ key, count }) => [count, key]);
    printTable(['documents', name], missing > 0 ? [...rows, [missing, '(none)']] : rows);
    if (values > buckets.length) print(`and ${values - buckets.length} more values`);
  }
}
