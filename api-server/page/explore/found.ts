/** The documents that were found: pages of them, asked for one after the other as the user gets to them, and their highlights. */
import { signal, type Signal } from '@preact/signals';
import { api, bodyOf, type RefusedError, type Schemas, type UnreachableError } from '../foundation/api.js';
import { knownError } from '../foundation/loading.js';
import type { Query, Sort } from './wish.js';

export type FoundDocument = Schemas['FoundDocument'];

/** Documents on a page; the first one is short, so that there is something to see at once. */
const FIRST = 20;
const PAGE = 100;
/** Pages that are kept: more of them are asked for again when the user comes back. */
const KEPT = 100;
/** Milliseconds for which somebody who types on is given way: highlights keep the database longer than the search did. */
const GIVING_WAY = 150;
/** Documents whose highlights are asked for at a time. */
const HIGHLIGHTED = 12;

export interface Found {
  hits: number;
  /** By relevance, those that were ranked are all there is to see. */
  listed: number;
  ranked: number | undefined;
  /** Changes whenever more is there to see. */
  news: Signal<number>;
  failure: Signal<RefusedError | UnreachableError | undefined>;
  document: (index: number) => FoundDocument | undefined;
  /** Undefined until they are known. */
  highlights: (id: string) => readonly string[] | undefined;
  /** Says what is on the screen, and what is wanted thereby; the end is excluded. */
  show: (start: number, end: number) => void;
  /** Asks for nothing more. */
  close: () => void;
}

export interface FindOptions {
  collection: string;
  query: Query;
  sort: Sort;
  /** Whether the query has words to highlight. */
  hasWords: boolean;
  signal: AbortSignal;
}

/** Which documents a page has: the first one of them, and the one behind the last. */
const boundsOf = (page: number): [number, number] =>
  page === 0 ? [0, FIRST] : [FIRST + (page - 1) * PAGE, FIRST + page * PAGE];
const pageOf = (index: number): number => (index < FIRST ? 0 : 1 + Math.floor((index - FIRST) / PAGE));

/** @throws {RefusedError} @throws {UnreachableError} what kept the first page from coming */
export async function find({ collection, query, sort, hasWords, signal: given }: FindOptions): Promise<Found> {
  const abort = new AbortController();
  const ask = (body: Schemas['Search'], until: AbortSignal): Promise<Schemas['SearchResult']> =>
    bodyOf(api.POST('/collections/{collection}/search', { params: { path: { collection } }, body, signal: until }));
  const first = await ask({ query, sort, limit: FIRST }, given);
  const listed = first.ranked?.candidates ?? first.hits;

  const pages = new Map<number, FoundDocument[]>([[0, first.documents]]);
  /** With which a page is asked for where the one before it is known; any other one is leapt to. */
  const cursors = new Map<number, string>(first.next === undefined ? [] : [[1, first.next]]);
  const marked = new Map<string, readonly string[]>();
  const news = signal(0);
  const failure = signal<RefusedError | UnreachableError | undefined>(undefined);
  let shown: [number, number] = [0, 0];
  let busy = { pages: false, highlights: false };
  let timer: ReturnType<typeof setTimeout> | undefined;

  const document = (index: number): FoundDocument | undefined =>
    pages.get(pageOf(index))?.[index - boundsOf(pageOf(index))[0]];

  /** The first page of what is shown that is not there. */
  function wantedPage(): number | undefined {
    const [start, end] = shown;
    for (let page = pageOf(start); page <= pageOf(Math.max(start, Math.min(end, listed) - 1)); page++) {
      if (!pages.has(page)) return page;
    }
    return undefined;
  }

  async function loadPages(): Promise<void> {
    if (busy.pages) return;
    busy = { ...busy, pages: true };
    try {
      for (let page = wantedPage(); page !== undefined && !abort.signal.aborted; page = wantedPage()) {
        const cursor = cursors.get(page);
        const beginning = cursor === undefined ? { skip: boundsOf(page)[0] } : { cursor };
        const { documents, next } = await ask({ query, sort, limit: PAGE, ...beginning }, abort.signal);
        pages.set(page, documents);
        if (next !== undefined) cursors.set(page + 1, next);
        forget(page);
        failure.value = undefined;
        news.value += 1;
        void loadHighlights();
      }
    } catch (error) {
      if (!abort.signal.aborted) failure.value = knownError(error);
    } finally {
      busy = { ...busy, pages: false };
    }
  }

  function forget(latest: number): void {
    if (pages.size <= KEPT) return;
    const near = [...pages.keys()].sort((one, other) => Math.abs(other - latest) - Math.abs(one - latest));
    for (const page of near.slice(0, pages.size - KEPT)) pages.delete(page);
  }

  function unmarked(): string[] {
    const ids: string[] = [];
    for (let index = shown[0]; index < shown[1] && ids.length < HIGHLIGHTED; index++) {
      const id = document(index)?.id;
      if (id !== undefined && !marked.has(id)) ids.push(id);
    }
    return ids;
  }

  async function loadHighlights(): Promise<void> {
    if (!hasWords || busy.highlights) return;
    busy = { ...busy, highlights: true };
    try {
      for (let ids = unmarked(); ids.length > 0 && !abort.signal.aborted; ids = unmarked()) {
        const these = { bool: { must: [query], filter: [{ ids: { values: ids } }] } };
        const { documents } = await ask({ query: these, limit: HIGHLIGHTED, highlight: true }, abort.signal);
        for (const id of ids) marked.set(id, []);
        for (const { id, highlights = [] } of documents) marked.set(id, highlights);
        news.value += 1;
      }
    } catch (error) {
      // The list is good without them.
      if (!abort.signal.aborted) knownError(error);
    } finally {
      busy = { ...busy, highlights: false };
    }
  }

  return {
    hits: first.hits,
    listed,
    ranked: first.ranked?.candidates,
    news,
    failure,
    document,
    highlights: (id) => marked.get(id),
    show(start, end) {
      shown = [start, end];
      void loadPages();
      clearTimeout(timer);
      timer = setTimeout(() => void loadHighlights(), GIVING_WAY);
    },
    close() {
      clearTimeout(timer);
      abort.abort();
    },
  };
}
