/** Reads a listing from the server, over as many connections as it takes. */
import { DumpGoneError, JobFailedError } from '../job/job-failure.js';
import { readBareListing } from './bare-listing.js';
import { readLines } from './lines.js';
import {
  ListingBrokenError,
  parseDocsetLine,
  parseLine,
  type Docset,
  type ListingLine,
  type Member,
  type Segment,
  type Withdrawn,
} from './members.js';
import { SourceInterruptedError, SourceStatusError, type SourceClient } from './source-client.js';

export interface ListingRequest {
  url: URL;
  formats: readonly string[];
  /** True where the request named a dump: a docset that is not there is then one that was deleted. */
  namesDump: boolean;
}

/** What comes of a listing: the docset first, then the members, some at a time, then what was withdrawn since an earlier docset. */
export type ListingEntry = { type: 'docset'; docset: Docset; size: number } | ListedBatch;

type ListedBatch =
  { type: 'members'; members: readonly Member[] } | { type: 'withdrawn'; documents: readonly Withdrawn[] };

const ACCEPT = 'application/x-ndjson, application/json;q=0.5';
/** A longer line is not a member. */
const LONGEST_LINE = 1024 * 1024;
/** Readings in a row that brought no further member. */
const FRUITLESS_READINGS = 5;

/**
 * The whole listing. Where the connection breaks it is opened again and goes on after the last member handed out: the
 * same docset revision gives the same lines each time.
 * @throws {JobFailedError} the listing has no end, makes no sense or is refused
 * @throws {DumpGoneError}
 */
export async function* streamListing(client: SourceClient, request: ListingRequest): AsyncGenerator<ListingEntry> {
  let isBegun = false;
  let handedOut = 0;
  let fruitless = 0;
  for (;;) {
    const before = handedOut;
    let index = 0;
    try {
      for await (const entry of readOnce(client, request)) {
        if (entry.type === 'docset') {
          if (!isBegun) yield entry;
          isBegun = true;
          continue;
        }
        const length = lengthOf(entry);
        const rest = index >= handedOut ? entry : without(entry, handedOut - index);
        index += length;
        if (lengthOf(rest) === 0) continue;
        handedOut += lengthOf(rest);
        yield rest;
      }
      return;
    } catch (error) {
      fruitless = handedOut > before ? 1 : fruitless + 1;
      if (!isBroken(error) || fruitless >= FRUITLESS_READINGS) throw failureOf(error, request);
      await client.pause(fruitless);
    }
  }
}

const lengthOf = (batch: ListedBatch): number =>
  batch.type === 'members' ? batch.members.length : batch.documents.length;

/** A batch without its first ones. */
function without(batch: ListedBatch, first: number): ListedBatch {
  if (batch.type === 'members') return { ...batch, members: batch.members.slice(first) };
  return { ...batch, documents: batch.documents.slice(first) };
}

/** Rejects with `DumpGoneError` where nobody wants the dump any more; any other trouble is left to those who need the answer. */
export async function assertStillWanted(client: SourceClient, request: ListingRequest): Promise<void> {
  try {
    const answer = await client.get(request.url, ACCEPT);
    answer.discard();
  } catch (error) {
    const failure = failureOf(error, request);
    if (failure instanceof DumpGoneError) throw failure;
  }
}

async function* readOnce(client: SourceClient, { url, formats }: ListingRequest): AsyncGenerator<ListingEntry> {
  const answer = await client.untilAnswered(() => client.get(url, ACCEPT));
  if (!/ndjson|jsonl/.test(answer.contentType)) {
    const { docset, members } = await readBareListing(answer, url, formats);
    yield { type: 'docset', docset, size: members.length };
    yield { type: 'members', members };
    return;
  }
  const segments = new Map<string, Segment>();
  let size: number | undefined;
  let count = 0;
  let toWithdraw = 0;
  let withdrawnCount = 0;
  for await (const lines of readLines(answer.pieces, LONGEST_LINE)) {
    const members: Member[] = [];
    const documents: Withdrawn[] = [];
    let end: Extract<ListingLine, { type: 'end' }> | undefined;
    for (const line of lines) {
      if (size === undefined) {
        const head = parseDocsetLine(line);
        size = head.size;
        toWithdraw = head.docset.since?.withdrawn ?? 0;
        yield { type: 'docset', ...head };
        continue;
      }
      const entry = parseLine(line, segments);
      switch (entry.type) {
        case 'segment':
          segments.set(entry.segment.id, entry.segment);
          break;
        case 'member':
          members.push(entry.member);
          break;
        case 'withdrawn':
          documents.push(entry.document);
          break;
        case 'end':
          end = entry;
      }
      if (end !== undefined) break;
    }
    count += members.length;
    withdrawnCount += documents.length;
    if (members.length > 0) yield { type: 'members', members };
    if (documents.length > 0) yield { type: 'withdrawn', documents };
    if (end === undefined) continue;
    if (withdrawnCount !== toWithdraw || end.withdrawn !== toWithdraw) {
      throw new ListingBrokenError(`it ends after ${withdrawnCount} of ${toWithdraw} withdrawn documents`);
    }
    if (end.size === size && count === size) return;
    throw new ListingBrokenError(`it ends after ${count} of ${String(size)} members`);
  }
  // A stream without its last line is incomplete, whatever the status said.
  throw new ListingBrokenError(size === undefined ? 'it is empty' : `it breaks off after ${count} of ${size} members`);
}

function isBroken(error: unknown): boolean {
  if (error instanceof SourceStatusError) return error.status >= 500;
  return error instanceof ListingBrokenError || error instanceof SourceInterruptedError;
}

function failureOf(error: unknown, { namesDump }: ListingRequest): unknown {
  if (error instanceof SourceStatusError) {
    // Any other 404 is a wrong address: nobody would ever hear why the dump does not come.
    if (error.problem === 'docset-not-found' && namesDump) return new DumpGoneError({ cause: error });
    const code = error.status >= 500 ? 'source-unavailable' : 'source-refused';
    return new JobFailedError(code, `The server ${error.message} when asked for the members of the docset.`, {
      cause: error,
    });
  }
  if (!isBroken(error)) return error;
  const reason = (error as Error).message.split('\n')[0];
  return new JobFailedError(
    'listing-incomplete',
    `The list of the docset's members could not be read: ${String(reason)}.`,
    { cause: error },
  );
}
