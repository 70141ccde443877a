/** Writes entries of an index, many in one request. */
import { SearchEngineError, type EngineClient } from './engine-client.js';
import { entryOf, type IndexedRow } from './index-layout.js';

/** Bytes that are sent at a time, but for one document that is larger. */
const LARGEST_BULK = 8 * 1024 * 1024;
/** A document never changes, and one that is gone never comes back: its deletion wins whatever comes first. */
const VERSIONS = { there: 1, gone: 2 };

/** What is added is in the index when `flush` has ended. Every method throws {@link SearchEngineError}. */
export interface Bulk {
  /** @param content the text; undefined where the document has none */
  add(row: IndexedRow, content: string | undefined): Promise<void>;
  remove(id: string): Promise<void>;
  flush(): Promise<void>;
}

export function openBulk(client: EngineClient, index: string): Bulk {
  let lines: string[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    if (lines.length > 0) await send(client, index, lines.join(''));
    [lines, size] = [[], 0];
  };
  const put = async (line: string): Promise<void> => {
    if (size > 0 && size + line.length > LARGEST_BULK) await flush();
    lines.push(line);
    size += line.length;
  };
  return {
    add: (row, content) =>
      put(`${action('index', row.id, VERSIONS.there)}\n${JSON.stringify(entryOf(row, content))}\n`),
    remove: (id) => put(`${action('delete', id, VERSIONS.gone)}\n`),
    flush,
  };
}

const action = (what: 'index' | 'delete', id: string, version: number): string =>
  JSON.stringify({ [what]: { _id: id, version, version_type: 'external_gte' } });

type Item = Record<string, { _id: string; status: number; error?: { reason?: string } }>;

async function send(client: EngineClient, index: string, lines: string): Promise<void> {
  const answer = await client.send<{ errors: boolean; items: Item[] }>('POST', `/${index}/_bulk`, lines);
  if (answer?.errors !== true) return;
  for (const { _id, status, error } of answer.items.flatMap((item) => Object.values(item))) {
    // 409: it is gone already. 404: it was never there, and now cannot come any more.
    if (status < 300 || status === 409 || status === 404) continue;
    throw new SearchEngineError(`document ${_id} was answered ${status}: ${error?.reason ?? 'no reason'}`, status);
  }
}
