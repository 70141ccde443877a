/** The members of a docset, to be gone through as often as needed without holding all of them. */
import { createHash } from 'node:crypto';
import { JobFailedError } from '../job/job-failure.js';
import { streamListing, type ListingRequest } from './listing-stream.js';
import type { Docset, Member } from './members.js';
import type { SourceClient } from './source-client.js';

export interface Listing {
  docset: Docset;
  /** How many members there are. */
  size: number;
  /** Bytes of all wanted files, as far as the server says. */
  bytes: number;
  /**
   * The members in their order.
   * @throws {JobFailedError} the listing is another one than at first
   */
  members(): AsyncIterable<Member>;
}

/** A listing whose text is no longer than this is kept; a longer one is read from the server each time. */
const KEPT_TEXT = 8 * 1024 * 1024;

/** Reads the listing once, checking all of it. */
export async function readListing(client: SourceClient, request: ListingRequest): Promise<Listing> {
  const fingerprint = createFingerprint(request.formats);
  let docset: Docset | undefined;
  let size = 0;
  let bytes = 0;
  let text = 0;
  let kept: Member[] | undefined = [];
  for await (const entry of streamListing(client, request)) {
    if (entry.type === 'docset') {
      docset = entry.docset;
      continue;
    }
    size += 1;
    text += entry.bytes;
    fingerprint.add(entry.member);
    for (const format of request.formats) bytes += entry.member.files[format]?.size ?? 0;
    kept = text > KEPT_TEXT ? undefined : kept;
    kept?.push(entry.member);
  }
  if (docset === undefined || size === 0) throw new JobFailedError('no-members', 'The docset has no members.');
  const first = fingerprint.digest();

  async function* readAgain(): AsyncGenerator<Member> {
    const again = createFingerprint(request.formats);
    for await (const entry of streamListing(client, request)) {
      if (entry.type === 'docset') continue;
      again.add(entry.member);
      yield entry.member;
    }
    if (again.digest() !== first) {
      throw new JobFailedError('listing-incomplete', 'The members of the docset changed while they were packaged.');
    }
  }

  const members = kept;
  return { docset, size, bytes, members: members === undefined ? readAgain : () => replay(members) };
}

// eslint-disable-next-line @typescript-eslint/require-await -- the same type as a listing that is read again
async function* replay(members: Member[]): AsyncGenerator<Member> {
  yield* members;
}

/** Of everything that the bag's bytes follow from. Links are left out: they may be signed anew each time. */
function createFingerprint(formats: readonly string[]) {
  const hash = createHash('sha256');
  return {
    add({ ref, title, creator, date, url, files }: Member): void {
      const versions = formats.map((format) => [
        files[format]?.size,
        files[format]?.sha256,
        files[format] !== undefined,
      ]);
      hash.update(JSON.stringify([ref, title, creator, date, url, versions]));
    },
    digest: () => hash.digest('hex'),
  };
}
