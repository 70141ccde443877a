/** What a miner does over HTTP, typed by openapi.yaml: search, make docsets, ask for dumps, poll them, find their archives. */
import { setTimeout as sleep } from 'node:timers/promises';
import createClient, { type Client } from 'openapi-fetch';
import { DumpError } from './errors.js';
import type { components, paths } from '../../api-server/http/openapi-types.js';
import { createPatientFetch, readRetryAfter } from './patient-fetch.js';
import { uploadRequest } from './upload.js';

type Schemas = components['schemas'];
export type Collection = Schemas['Collection'];
export type CollectionEntry = Schemas['CollectionEntry'];
export type Search = Schemas['Search'];
export type SearchResult = Schemas['SearchResult'];
export type NewDocset = Schemas['NewDocset'];
export type Docset = Schemas['Docset'];
export type Member = Schemas['Member'];
export type DumpStatus = Schemas['Dump'];
export type DumpEstimate = Schemas['DumpEstimate'];
export type Watch = Schemas['Watch'];
export type WatchNews = Schemas['WatchNews'];
export type NewsItem = WatchNews['documents'][number];
export type Container = DumpStatus['container'];

/** Which dump of a docset. */
export interface DumpWish {
  /** `txt` where none is named. */
  formats?: readonly string[] | undefined;
  /** `zip` where nothing is said. */
  archive?: Container | undefined;
  /** Id of an earlier dump: only what was added or changed since. */
  since?: string | undefined;
  /** A new dump even where one is there. */
  force?: boolean | undefined;
}

/** Of a docset that is made from a file. */
export interface UploadFacts {
  name?: string | undefined;
  /** May be left out where there is one collection only. */
  collection?: string | undefined;
  /** `report`: goes on without what is unknown; `refuse`, where nothing is said. */
  unknown?: 'refuse' | 'report' | undefined;
}

/** A dump at one moment. */
export interface DumpAnswer {
  /** Path to poll. */
  path: string;
  status: DumpStatus;
  /** Milliseconds until the next poll is worth while. */
  retryAfter: number;
}

export interface MinerClientOptions {
  /** For how long a request is repeated while the server is away or busy, in milliseconds; 5 minutes. */
  retryFor?: number | undefined;
  /** Ends everything that this client is doing, with its reason. */
  signal?: AbortSignal | undefined;
  /** Told why it waits, in a few words. */
  onWait?: ((why: string) => void) | undefined;
}

/** Every function throws RefusedError where the server refuses, and UnreachableError where it is away for too long. */
export interface MinerClient {
  /** Of the service, without a slash at the end. */
  readonly url: string;
  readonly options: MinerClientOptions;
  /** Everything that openapi.yaml has, by method and path: `client.http.GET('/documents/{document}', …)`. */
  readonly http: Client<paths, 'application/json'>;
  collections(): Promise<CollectionEntry[]>;
  collection(id: string): Promise<Collection>;
  /** One page; `next` of the answer is the `cursor` of the one behind. */
  search(collection: string, search: Search): Promise<SearchResult>;
  createDocset(docset: NewDocset): Promise<Docset>;
  /**
   * From a file that names documents: `.csv` with a column `ref`, `id` or `url` (the `catalog.csv` of an archive will do),
   * `.ndjson`, or any other text with a ref a line. It is read while it is sent, and sent once.
   */
  uploadDocset(file: string, facts?: UploadFacts): Promise<Docset>;
  docset(id: string): Promise<Docset>;
  /** All of the caller's, oldest first, a page at a time. */
  docsets(): AsyncGenerator<Docset>;
  /** All of a docset, in the order of their refs, a page at a time. */
  members(docset: string): AsyncGenerator<Member>;
  /** What was named for a docset and is no document of its collection. */
  unknownMembers(docset: string): AsyncGenerator<string>;
  deleteDocset(id: string): Promise<void>;
  /** What a dump would be, which is not asked for thereby; `force` makes no difference. */
  estimateDump(docset: string, wish?: DumpWish): Promise<DumpEstimate>;
  /** Asks for a dump; the same one again while it is being made or can be downloaded. */
  requestDump(docset: string, wish?: DumpWish): Promise<DumpAnswer>;
  /** How a dump is; `path` comes with the answer to the request. */
  pollDump(path: string): Promise<DumpAnswer>;
  /** Polls until the dump is over, as often as the server wants to be asked. */
  awaitDump(dump: DumpAnswer, onStatus?: (status: DumpStatus) => void): Promise<DumpStatus>;
  /** The newest dump of a docset, whatever its formats. */
  newestDump(docset: string): Promise<DumpStatus>;
  /** The caller's, newest first, as they were last known. */
  dumps(limit?: number): Promise<DumpStatus[]>;
  /** A fresh link to the archive, good for a quarter of an hour; needs no key, and may lead to another host. */
  archiveLink(status: DumpStatus): Promise<URL>;
  /** Saves a query of a collection; what it finds now is taken for known. */
  createWatch(collection: string, watch: NewWatch): Promise<Watch>;
  /** All of the caller's of a collection, oldest first, a page at a time. */
  watches(collection: string): AsyncGenerator<Watch>;
  /** What has become of its documents since: how many, up to which revision, and the first page of them. */
  watchNews(watch: string): Promise<WatchNews>;
  /** All of these documents, in the order of their refs, a page at a time. */
  newsItems(watch: string): AsyncGenerator<NewsItem>;
  /** Says that the news up to this revision, `until` of the news, is known. */
  markSeen(watch: string, revision: number): Promise<Watch>;
  deleteWatch(watch: string): Promise<void>;
}

export interface NewWatch {
  name?: string;
  query: Search['query'];
}

const RETRY_FOR = 5 * 60_000;

/** @param url of the service, such as `http://localhost:3000` */
export function createMinerClient(url: string, key: string, options: MinerClientOptions = {}): MinerClient {
  const base = url.replace(/\/+$/, '');
  const { retryFor = RETRY_FOR, signal, onWait } = options;
  const patientFetch = createPatientFetch({ key, retryFor, signal, onWait });
  const http = createClient<paths, 'application/json'>({ baseUrl: `${base}/api`, fetch: patientFetch });
  const at = (path: string, init?: RequestInit): Request => new Request(new URL(path, base), init);

  const dumpAnswer = async (asked: string, response: Response): Promise<DumpAnswer> => ({
    path: pathOf(locationOf(response, asked, base)),
    status: (await response.json()) as DumpStatus,
    retryAfter: readRetryAfter(response.headers) ?? 1_000,
  });
  const pollDump = async (path: string): Promise<DumpAnswer> => dumpAnswer(path, await patientFetch(at(path)));
  return {
    url: base,
    options: { ...options, retryFor },
    http,
    collections: async () => bodyOf(await http.GET('/collections')),
    collection: async (collection) =>
      bodyOf(await http.GET('/collections/{collection}', { params: { path: { collection } } })),
    search: async (collection, body) =>
      bodyOf(await http.POST('/collections/{collection}/search', { params: { path: { collection } }, body })),
    createDocset: async (body) => bodyOf(await http.POST('/docsets', { body })),
    docset: async (docset) => bodyOf(await http.GET('/docsets/{docset}', { params: { path: { docset } } })),
    docsets: () =>
      eachOf(async (cursor) => {
        const answer = await http.GET('/docsets', { params: { query: cursor } });
        return { items: bodyOf(answer).docsets, response: answer.response };
      }),
    members: (docset) =>
      eachOf(async (cursor) => {
        const params = { path: { docset }, query: cursor };
        const answer = await http.GET('/docsets/{docset}/members', { params });
        return { items: bodyOf(answer).members, response: answer.response };
      }),
    uploadDocset: async (file, facts = {}) =>
      (await (await patientFetch.once(await uploadRequest(base, file, facts))).json()) as Docset,
    unknownMembers: (docset) =>
      eachOf(async (cursor) => {
        const params = { path: { docset }, query: cursor };
        const answer = await http.GET('/docsets/{docset}/unknown', { params });
        return { items: bodyOf(answer).unknown, response: answer.response };
      }),
    async deleteDocset(docset) {
      await http.DELETE('/docsets/{docset}', { params: { path: { docset } } });
    },
    async estimateDump(docset, wish = {}) {
      const path = `/api/docsets/${encodeURIComponent(docset)}/dump/estimate${queryOf({ ...wish, force: false })}`;
      return (await (await patientFetch(at(path))).json()) as DumpEstimate;
    },
    async requestDump(docset, wish = {}) {
      const path = `/api/docsets/${encodeURIComponent(docset)}/dump${queryOf(wish)}`;
      return dumpAnswer(path, await patientFetch(at(path, { method: 'POST' })));
    },
    pollDump,
    async awaitDump(dump, onStatus = () => undefined) {
      for (let { path, status, retryAfter } = dump; ;) {
        onStatus(status);
        if (status.done) return status;
        await sleep(retryAfter, undefined, signal === undefined ? {} : { signal });
        ({ path, status, retryAfter } = await pollDump(path));
      }
    },
    newestDump: async (docset) => (await pollDump(`/api/docsets/${encodeURIComponent(docset)}/dump`)).status,
    dumps: async (limit = 20) => bodyOf(await http.GET('/dumps', { params: { query: { limit } } })).dumps,
    async archiveLink({ archive, message }) {
      if (archive === null) throw new DumpError('failed', `The dump has no archive: ${message}`);
      return locationOf(await patientFetch(at(archive.href)), archive.href, base);
    },
    createWatch: async (collection, body) =>
      bodyOf(await http.POST('/collections/{collection}/watch', { params: { path: { collection } }, body })),
    watches: (collection) =>
      eachOf(async (cursor) => {
        const params = { path: { collection }, query: cursor };
        const answer = await http.GET('/collections/{collection}/watch', { params });
        return { items: bodyOf(answer).watches, response: answer.response };
      }),
    watchNews: async (watch) => bodyOf(await http.GET('/watches/{watch}', { params: { path: { watch } } })),
    newsItems: (watch) =>
      eachOf(async (cursor) => {
        const params = { path: { watch }, query: cursor };
        const answer = await http.GET('/watches/{watch}', { params });
        return { items: bodyOf(answer).documents, response: answer.response };
      }),
    markSeen: async (watch, since) =>
      bodyOf(await http.PATCH('/watches/{watch}', { params: { path: { watch } }, body: { since } })),
    async deleteWatch(watch) {
      await http.DELETE('/watches/{watch}', { params: { path: { watch } } });
    },
  };
}

/** `?fmt=meta,txt&archive=tar.gz&since=…` */
function queryOf({ formats = [], archive, since, force = false }: DumpWish): string {
  const query = new URLSearchParams();
  if (formats.length > 0) query.set('fmt', formats.join(','));
  if (archive !== undefined) query.set('archive', archive);
  if (since !== undefined) query.set('since', since);
  if (force) query.set('force', 'true');
  return query.size === 0 ? '' : `?${query.toString()}`;
}

interface Page<T> {
  items: T[];
  response: Response;
}

/** Goes from page to page where `Link: …; rel="next"` leads (RFC 8288). */
async function* eachOf<T>(pageAt: (cursor: { cursor?: string }) => Promise<Page<T>>): AsyncGenerator<T> {
  for (let cursor: string | null | undefined; cursor !== null;) {
    const { items, response } = await pageAt(cursor === undefined ? {} : { cursor });
    yield* items;
    const next = /<([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get('Link') ?? '')?.[1];
    cursor = next === undefined ? null : new URL(next, 'http://any').searchParams.get('cursor');
  }
}

/** What was refused was thrown: an answer without a body is none of Adit's. */
function bodyOf<T>({ data, response }: { data?: T; response: Response }): T {
  if (data === undefined) throw new TypeError(`An answer with status ${response.status} has no body.`);
  return data;
}

/** What `Location` names, as a URL. */
function locationOf(response: Response, asked: string, base: string): URL {
  const location = response.headers.get('Location');
  if (location === null) throw new TypeError(`The answer of ${asked} has no Location.`);
  return new URL(location, base);
}

const pathOf = ({ pathname, search }: URL): string => `${pathname}${search}`;
