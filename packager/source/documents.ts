/** Fetches the documents of a listing, several at once, and hands them over in the listing's order. */
import { pMapIterable } from 'p-map';
import { createByteBudget } from './byte-budget.js';
import { fetchFile, type FetchedFile } from './fetch-file.js';
import type { Listing } from './listing.js';
import type { Member } from './members.js';
import type { SourceClient } from './source-client.js';

const DOCUMENTS_AT_ONCE = 16;
/** Documents fetched, or on their way, ahead of the one that is being written. */
const DOCUMENTS_AHEAD = 64;
const BYTES_AHEAD = 64 * 1024 * 1024;
/** Where the server does not say how long a file is. */
const ASSUMED_SIZE = 1024 * 1024;

export interface FetchedDocument {
  member: Member;
  /** One for each wanted format, in the order of the request. */
  files: FetchedFile[];
}

/** Each document is given up, and its room with it, when the next one is asked for. */
export async function* fetchDocuments(
  client: SourceClient,
  listing: Listing,
  { formats, base }: { formats: readonly string[]; base: URL },
): AsyncGenerator<FetchedDocument> {
  const budget = createByteBudget(BYTES_AHEAD);
  const costOf = (member: Member): number =>
    formats.reduce(
      (cost, format) => cost + (member.files[format] ? (member.files[format].size ?? ASSUMED_SIZE) : 0),
      0,
    );

  // Room is taken in the listing's order and given back in that order, so the first in line always has its own.
  const fetched = pMapIterable(
    listing.members(),
    async (member): Promise<FetchedDocument> => {
      await budget.take(costOf(member));
      const files = await Promise.all(formats.map((format) => fetchFile(client, member.files[format], base)));
      return { member, files };
    },
    { concurrency: DOCUMENTS_AT_ONCE, backpressure: DOCUMENTS_AHEAD },
  );
  for await (const document of fetched) {
    yield document;
    budget.give(costOf(document.member));
  }
}
