/** Fetches one file of a document whole, and checks that it is what the listing said. */
import { createHash } from 'node:crypto';
import type { MemberFile, StorageMethod } from './members.js';
import { SourceInterruptedError, SourceStatusError, type SourceAnswer, type SourceClient } from './source-client.js';

/** Why a file is left out of the archive; the words of `omitted.csv`. */
export const OMISSIONS = ['missing', 'unreadable', 'corrupt', 'too-large'] as const;
export type Omission = (typeof OMISSIONS)[number];

export type FetchedFile =
  | { type: 'fetched'; content: Buffer; sha256: string; mediaType: string }
  | FetchedStoredFile
  | { type: 'omitted'; reason: Omission };

/** A file as it lies in a segment; whoever wants its content inflates it. */
export interface FetchedStoredFile {
  type: 'stored';
  /** Checked already; a file too large to be held comes in pieces, which throw where they are no longer what was checked. */
  data: Buffer | AsyncIterable<Buffer>;
  /** Bytes of `data`. */
  stored: number;
  method: StorageMethod;
  /** Bytes of the content. */
  size: number;
  /** Of the content, as is `sha256`. */
  crc32: number;
  sha256: string;
  mediaType: string;
}

/** Held whole in memory, since an entry of the archive is opened only when all of it is there. */
const LARGEST_FILE = 1024 * 1024 * 1024;

/** Tries of bytes that the server says it cannot read, or that break off. */
const READ_TRIES = 4;
/** Tries of bytes that are not those that were listed. */
const CORRUPT_TRIES = 2;

/** Anything but the job's own end is an outcome of this file alone. */
export async function fetchFile(client: SourceClient, file: MemberFile | undefined, base: URL): Promise<FetchedFile> {
  if (file === undefined) return { type: 'omitted', reason: 'missing' };
  if ((file.size ?? 0) > LARGEST_FILE) return { type: 'omitted', reason: 'too-large' };
  if (!URL.canParse(file.href, base.href)) return { type: 'omitted', reason: 'unreadable' };
  const url = new URL(file.href, base);
  let unreadable = 0;
  let corrupt = 0;
  for (;;) {
    const outcome = await client.untilAnswered(() => fetchOnce(client, url, file));
    if (outcome !== 'unreadable' && outcome !== 'corrupt') return outcome;
    if (outcome === 'unreadable') unreadable += 1;
    else corrupt += 1;
    if (unreadable >= READ_TRIES || corrupt >= CORRUPT_TRIES) return { type: 'omitted', reason: outcome };
    await client.pause(unreadable + corrupt);
  }
}

async function fetchOnce(
  client: SourceClient,
  url: URL,
  file: MemberFile,
): Promise<FetchedFile | 'unreadable' | 'corrupt'> {
  let answer: SourceAnswer;
  try {
    answer = await client.get(url, file.accept ?? '*/*');
  } catch (error) {
    if (!(error instanceof SourceStatusError)) throw error;
    // 404 and 410 without `dump-gone`: there are no such bytes; 406: not in this format.
    const isMissing = error.status === 404 || error.status === 410 || error.status === 406;
    return isMissing ? { type: 'omitted', reason: 'missing' } : 'unreadable';
  }
  const content = await readWhole(answer, file.size);
  if (typeof content === 'string') return content === 'too-large' ? { type: 'omitted', reason: content } : content;
  const sha256 = createHash('sha256').update(content).digest('hex');
  if (file.sha256 !== undefined && file.sha256 !== sha256) return 'corrupt';
  return { type: 'fetched', content, sha256, mediaType: file.media_type ?? answer.contentType };
}

async function readWhole(answer: SourceAnswer, listed: number | undefined) {
  const pieces: Buffer[] = [];
  let size = 0;
  try {
    for await (const piece of answer.pieces) {
      size += piece.length;
      if (listed !== undefined && size > listed) return 'corrupt';
      if (size > LARGEST_FILE) return 'too-large';
      pieces.push(piece);
    }
  } catch (error) {
    if (error instanceof SourceInterruptedError) return 'unreadable';
    throw error;
  }
  return listed === undefined || size === listed ? Buffer.concat(pieces, size) : 'corrupt';
}
