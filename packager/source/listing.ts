/** The members of a docset, to be gone through as often as needed without holding all of them. */
import { createHash } from 'node:crypto';
import { JobFailedError } from '../job/job-failure.js';
import { streamListing, type ListingEntry, type ListingRequest } from './listing-stream.js';
import { isStored, type Docset, type Member, type Withdrawn } from './members.js';
import { createPackedMembers, type PackedMembers } from './packed-members.js';
import type { SourceClient } from './source-client.js';

export interface Listing {
  docset: Docset;
  /** How many members there are. */
  size: number;
  /** Bytes of all wanted files, as far as the server says. */
  bytes: number;
  /** Those of them that lie in segments, in bytes as they lie there. */
  storedBytes: number;
  /** True where every wanted file that there is lies in a segment: the length of the archive is known then. */
  isStored: boolean;
  /**
   * The members in their order, some at a time: a turn of a loop for each of a million would cost more than what is done with it.
   * @throws {JobFailedError} the listing is another one than at first
   */
  members(): AsyncIterable<readonly Member[]>;
  /**
   * What was withdrawn since the docset that this one is relative to, in its order, some at a time.
   * @throws {JobFailedError} the listing is another one than at first
   */
  withdrawn(): AsyncIterable<readonly Withdrawn[]>;
}

/** Told of what a listing has, while it is read for the first time; each may hold it back. */
export interface ListingReader {
  onMember?(member: Member): Promise<void> | undefined;
  onWithdrawn?(document: Withdrawn): Promise<void> | undefined;
}

/** A listing that takes no more than this is kept, which 35,000 members in two formats do; a longer one is read from the server each time. */
const KEPT_BYTES = 12 * 1024 * 1024;

/** A line of what was withdrawn, in bytes, more or less. */
const WITHDRAWN_COST = 256;

/** Reads the listing once, checking all of it. */
export async function readListing(
  client: SourceClient,
  request: ListingRequest,
  reader: ListingReader = {},
): Promise<Listing> {
  const { formats } = request;
  const fingerprint = createFingerprint(formats);
  let docset: Docset | undefined;
  const sums = { size: 0, bytes: 0, storedBytes: 0, isStored: true };
  let kept: { members: PackedMembers; withdrawn: Withdrawn[] } | undefined = {
    members: createPackedMembers(formats),
    withdrawn: [],
  };
  for await (const entry of streamListing(client, request)) {
    if (entry.type === 'docset') {
      docset = entry.docset;
      continue;
    }
    if (entry.type === 'withdrawn') {
      for (const document of entry.documents) {
        fingerprint.addWithdrawn(document);
        const wait = reader.onWithdrawn?.(document);
        if (wait !== undefined) await wait;
      }
      kept?.withdrawn.push(...entry.documents);
    } else {
      for (const member of entry.members) {
        sums.size += 1;
        fingerprint.add(member);
        const wait = reader.onMember?.(member);
        if (wait !== undefined) await wait;
        for (const format of formats) {
          const file = member.files[format];
          sums.bytes += file?.size ?? 0;
          if (isStored(file)) sums.storedBytes += file.stored.length;
          else if (file !== undefined) sums.isStored = false;
        }
        kept?.members.add(member);
      }
    }
    if (kept !== undefined && kept.members.bytes + kept.withdrawn.length * WITHDRAWN_COST > KEPT_BYTES) {
      kept = undefined;
    }
  }
  // Of a docset itself nobody wants nothing; that nothing has changed since is worth knowing.
  if (docset === undefined || (sums.size === 0 && docset.since === undefined))
    throw new JobFailedError('no-members', 'The docset has no members.');
  const first = fingerprint.digest();

  async function* readAgain(): AsyncGenerator<Exclude<ListingEntry, { type: 'docset' }>> {
    const again = createFingerprint(formats);
    for await (const entry of streamListing(client, request)) {
      if (entry.type === 'docset') continue;
      if (entry.type === 'members') for (const member of entry.members) again.add(member);
      else for (const document of entry.documents) again.addWithdrawn(document);
      yield entry;
    }
    if (again.digest() !== first) {
      throw new JobFailedError('listing-incomplete', 'The members of the docset changed while they were packaged.');
    }
  }

  async function* membersAgain(): AsyncGenerator<readonly Member[]> {
    for await (const entry of readAgain()) if (entry.type === 'members') yield entry.members;
  }

  async function* withdrawnAgain(): AsyncGenerator<readonly Withdrawn[]> {
    for await (const entry of readAgain()) if (entry.type === 'withdrawn') yield entry.documents;
  }

  const all = kept;
  if (all === undefined) return { docset, ...sums, members: membersAgain, withdrawn: withdrawnAgain };
  return {
    ...{ docset, ...sums },
    members: () => replay(all.members.members()),
    withdrawn: () => replay([all.withdrawn]),
  };
}

// eslint-disable-next-line @typescript-eslint/require-await -- the same type as a listing that is read again
async function* replay<T>(kept: Iterable<T>): AsyncGenerator<T> {
  yield* kept;
}

/** Hashed at a time, in characters. */
const HASHED_TEXT = 64 * 1024;

/**
 * Of everything that the bag's bytes follow from. Links are left out: they may be signed anew each time. So is the place
 * in a segment: the content is the same.
 */
function createFingerprint(formats: readonly string[]) {
  const hash = createHash('sha256');
  let text = '';
  const hashIfLong = (): void => {
    if (text.length < HASHED_TEXT) return;
    hash.update(text);
    text = '';
  };
  return {
    addWithdrawn({ ref, title, creator, date, url }: Withdrawn): void {
      text += `- ${JSON.stringify([ref, title, creator, date, url])}`;
      hashIfLong();
    },
    add({ ref, title, creator, date, url, files }: Member): void {
      text += JSON.stringify([ref, title, creator, date, url]);
      for (const format of formats) {
        const file = files[format];
        text += file === undefined ? '-' : ` ${file.size} ${file.sha256}`;
      }
      hashIfLong();
    },
    digest: () => hash.update(text).digest('hex'),
  };
}
