/** The members of a docset, to be gone through as often as needed without holding all of them. */
import { createHash } from 'node:crypto';
import { JobFailedError } from '../job/job-failure.js';
import { streamListing, type ListingRequest } from './listing-stream.js';
import { isStored, type Docset, type Member } from './members.js';
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
}

/** A listing that takes no more than this is kept, which 35,000 members in two formats do; a longer one is read from the server each time. */
const KEPT_BYTES = 12 * 1024 * 1024;

/** Reads the listing once, checking all of it; `onMember` may hold it back. */
export async function readListing(
  client: SourceClient,
  request: ListingRequest,
  onMember?: (member: Member) => Promise<void> | undefined,
): Promise<Listing> {
  const { formats } = request;
  const fingerprint = createFingerprint(formats);
  let docset: Docset | undefined;
  const sums = { size: 0, bytes: 0, storedBytes: 0, isStored: true };
  let kept: PackedMembers | undefined = createPackedMembers(formats);
  for await (const entry of streamListing(client, request)) {
    if (entry.type === 'docset') {
      docset = entry.docset;
      continue;
    }
    for (const member of entry.members) {
      sums.size += 1;
      fingerprint.add(member);
      const wait = onMember?.(member);
      if (wait !== undefined) await wait;
      for (const format of formats) {
        const file = member.files[format];
        sums.bytes += file?.size ?? 0;
        if (isStored(file)) sums.storedBytes += file.stored.length;
        else if (file !== undefined) sums.isStored = false;
      }
      kept?.add(member);
    }
    if (kept !== undefined && kept.bytes > KEPT_BYTES) kept = undefined;
  }
  if (docset === undefined || sums.size === 0) throw new JobFailedError('no-members', 'The docset has no members.');
  const first = fingerprint.digest();

  async function* readAgain(): AsyncGenerator<readonly Member[]> {
    const again = createFingerprint(formats);
    for await (const entry of streamListing(client, request)) {
      if (entry.type === 'docset') continue;
      for (const member of entry.members) again.add(member);
      yield entry.members;
    }
    if (again.digest() !== first) {
      throw new JobFailedError('listing-incomplete', 'The members of the docset changed while they were packaged.');
    }
  }

  const members = kept;
  return { docset, ...sums, members: members === undefined ? readAgain : () => replay(members) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- the same type as a listing that is read again
async function* replay(packed: PackedMembers): AsyncGenerator<readonly Member[]> {
  yield* packed.members();
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
  return {
    add({ ref, title, creator, date, url, files }: Member): void {
      text += JSON.stringify([ref, title, creator, date, url]);
      for (const format of formats) {
        const file = files[format];
        text += file === undefined ? '-' : ` ${file.size} ${file.sha256}`;
      }
      if (text.length < HASHED_TEXT) return;
      hash.update(text);
      text = '';
    },
    digest: () => hash.update(text).digest('hex'),
  };
}
