/** Where a dump is: its formats, container and `since` are in the query of its address, here as in the API. */
import { api, bodyOf, fetchWithKey, refusedBy, type Schemas } from '../foundation/api.js';
import { href } from '../foundation/place.js';
import type { Poll } from '../foundation/polled.js';

export type Dump = Schemas['Dump'];
export type Container = Dump['container'];

export interface DumpAddress {
  docset: string;
  formats: readonly string[];
  container: Container;
  /** Id of the dump that it is relative to. */
  since: string | undefined;
}

/** Undefined where the query names no formats: then a dump is still to be chosen. */
export function readAddress(docset: string, query: URLSearchParams): DumpAddress | undefined {
  const formats = (query.get('fmt') ?? '').split(',').filter((format) => format !== '');
  if (formats.length === 0) return undefined;
  const container = query.get('archive') === 'tar.gz' ? 'tar.gz' : 'zip';
  return { docset, formats, container, since: query.get('since') ?? undefined };
}

export const addressOf = ({ docset, formats, container, since }: Dump): DumpAddress => ({
  docset: docsetOf(docset),
  formats,
  container,
  since: since ?? undefined,
});

/** `/api/docsets/5` is docset 5. */
export const docsetOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** In the page. */
export const pageOf = ({ docset, ...address }: DumpAddress): string => `/docsets/${docset}/dump${queryOf(address)}`;

/** The commas stay as they are: people read this. */
const queryOf = ({ formats, container, since }: Omit<DumpAddress, 'docset'>): string =>
  href('', { fmt: formats.join(','), archive: container === 'zip' ? undefined : container, since }).replaceAll(
    '%2C',
    ',',
  );

export const parametersOf = ({ docset, formats, container, since }: DumpAddress) => ({
  path: { docset },
  query: { fmt: formats.join(','), archive: container, ...(since === undefined ? {} : { since }) },
});

const pathOf = ({ docset, ...address }: DumpAddress): string => `/api/docsets/${docset}/dump${queryOf(address)}`;

/** Seconds until the next poll where the server does not say. */
const USUAL_PAUSE = 2;

/** One poll. @throws {RefusedError} @throws {UnreachableError} */
export async function pollDump(address: DumpAddress, signal: AbortSignal): Promise<Poll<Dump>> {
  const response = await fetchWithKey(
    new Request(pathOf(address), { signal, headers: { Accept: 'application/json' } }),
  );
  const body: unknown = await response.json().catch(() => undefined);
  if (!response.ok || body === undefined) throw refusedBy(response, body);
  const dump = body as Dump;
  const pause = Number(response.headers.get('Retry-After') ?? USUAL_PAUSE);
  return { value: dump, next: dump.done ? undefined : pause };
}

/** @param force even where there is one that can be downloaded */
export const askForDump = (address: DumpAddress, { force = false } = {}): Promise<Dump> => {
  const { path, query } = parametersOf(address);
  return bodyOf(
    api.POST('/docsets/{docset}/dump', { params: { path, query: { ...query, ...(force ? { force: 'true' } : {}) } } }),
  );
};

export const cancelDump = (address: DumpAddress): Promise<Dump> =>
  bodyOf(api.DELETE('/docsets/{docset}/dump', { params: parametersOf(address) }));
