/** A source behind a URL, as a stream that goes on where it broke off. */
import { setTimeout as sleep } from 'node:timers/promises';
import pRetry from 'p-retry';
import { LARGEST_FILE, RefusedFileError, tooLarge } from '../source.js';

export interface RemoteFile {
  /** Where it really was, after redirections. */
  url: string;
  /** Bytes; undefined where the server does not say. */
  size: number | undefined;
  chunks: AsyncIterable<Buffer>;
}

const TRIES = 5;
const FIRST_PAUSE = 500;

/** Status codes that may be others in a moment. */
const PASSING = [408, 425, 429, 500, 502, 503, 504];

/** The server said no, and will not say anything else. */
class RemoteRefusalError extends Error {
  override readonly name = 'RemoteRefusalError';
}

export const isUrl = (source: string): boolean => /^https?:\/\//i.test(source);

/** @throws {Error} it cannot be had */
export async function openUrl(url: string): Promise<RemoteFile> {
  const first = await patiently(url, () => request(url));
  const length = Number(first.headers.get('content-length') ?? NaN);
  const size = Number.isNaN(length) ? undefined : length;
  return { url: first.url, size, chunks: resuming(url, first, size) };
}

/** A small file, whole. @throws {RefusedFileError} */
export async function readUrl(url: string): Promise<Buffer> {
  try {
    const { size, chunks } = await openUrl(url);
    if (size !== undefined && size > LARGEST_FILE) throw new RefusedFileError(tooLarge(size));
    const parts: Buffer[] = [];
    let length = 0;
    for await (const chunk of chunks) {
      length += chunk.length;
      if (length > LARGEST_FILE) throw new RefusedFileError(tooLarge(length));
      parts.push(chunk);
    }
    return Buffer.concat(parts);
  } catch (error) {
    if (error instanceof RefusedFileError) throw error;
    throw new RefusedFileError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Asks for the rest where a connection breaks, as often as something comes, and never joins parts of two files. */
async function* resuming(url: string, first: Response, size: number | undefined): AsyncGenerator<Buffer> {
  const mark = strongMark(first);
  let response = first;
  let received = 0;
  for (let failures = 0; ;) {
    try {
      for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
        received += chunk.length;
        failures = 0;
        yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
      }
      if (size === undefined || received === size) return;
      throw new Error(`it ended after ${received} of ${size} bytes`);
    } catch (error) {
      failures += 1;
      const told = `${url} broke off after ${received} bytes`;
      if (failures > TRIES) throw new Error(told, { cause: error });
      if (mark === undefined) throw new Error(`${told}, and the server cannot resume it`, { cause: error });
      await sleep(FIRST_PAUSE * 2 ** (failures - 1));
      response = await patiently(url, () => rest(url, received, mark));
    }
  }
}

/** What If-Range takes: without it, a part of another version could be taken for the rest of this one. */
function strongMark({ headers }: Response): string | undefined {
  if (headers.get('accept-ranges') === 'none') return undefined;
  const etag = headers.get('etag');
  if (etag !== null && !etag.startsWith('W/')) return etag;
  return headers.get('last-modified') ?? undefined;
}

async function rest(url: string, from: number, mark: string): Promise<Response> {
  if (from === 0) return request(url);
  const response = await request(url, { Range: `bytes=${from}-`, 'If-Range': mark });
  if (response.status === 206 && response.headers.get('content-range')?.startsWith(`bytes ${from}-`) === true) {
    return response;
  }
  await response.body?.cancel();
  throw new RemoteRefusalError(`${url} broke off after ${from} bytes, and what is there now is another file.`);
}

async function request(url: string, headers: Record<string, string> = {}): Promise<Response> {
  // What is resumed has to be the same bytes: no compression on the way.
  const response = await fetch(url, { headers: { 'Accept-Encoding': 'identity', ...headers } });
  if (response.ok) return response;
  await response.body?.cancel();
  const refusal = `${url} was answered ${response.status}`;
  throw PASSING.includes(response.status) ? new Error(refusal) : new RemoteRefusalError(refusal);
}

async function patiently(url: string, work: () => Promise<Response>): Promise<Response> {
  try {
    return await pRetry(work, {
      retries: TRIES,
      minTimeout: FIRST_PAUSE,
      shouldRetry: ({ error }) => !(error instanceof RemoteRefusalError),
    });
  } catch (error) {
    if (error instanceof RemoteRefusalError) throw error;
    throw new Error(`${url} cannot be reached`, { cause: error });
  }
}
