/** Downloads an archive into a partial file, in as many pieces as it takes, and never puts pieces of two archives together. */
import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import pRetry from 'p-retry';
import { DumpError, RefusedError, UnreachableError } from './errors.js';
import { lengthOf, refuseTooLarge, unwritable } from './files.js';
import type { DumpStatus, MinerClient } from './miner-client.js';
import { codeOf } from './patient-fetch.js';

export interface DownloadOptions {
  /** ETag of the archive that the partial file is the beginning of; undefined: whatever is there is of no use. */
  etag: string | undefined;
  /** Told the ETag before the first byte of an archive is written. */
  onEtag(etag: string | undefined): Promise<void>;
  /** Told how many bytes are there. */
  onBytes?: ((bytes: number) => void) | undefined;
}

/** A link that answers nothing for so long, in milliseconds, is given up for a fresh one. */
const LONGEST_SILENCE = 60_000;

/**
 * Resolves when the partial file has as many bytes as the archive.
 * @throws {DumpError | RefusedError | UnreachableError} what came by then stays, for the next try
 */
export async function downloadArchive(
  client: MinerClient,
  status: DumpStatus,
  part: string,
  options: DownloadOptions,
): Promise<void> {
  const size = status.archive?.size ?? null;
  const { retryFor = 0, signal, onWait } = client.options;
  let { etag } = options;
  await refuseTooLarge(part, size);
  for (let isWhole = false; !isWhole;) {
    // Each piece has the whole of the patience: a line that breaks every minute is slow, but not gone.
    isWhole = await pRetry(piece, {
      retries: Infinity,
      minTimeout: 500,
      maxTimeout: 10_000,
      maxRetryTime: retryFor,
      randomize: true,
      ...(signal === undefined ? {} : { signal }),
      shouldRetry: ({ error }) => error instanceof UnreachableError,
      onFailedAttempt: ({ error }) => onWait?.(error.message),
    });
  }

  /** One link, one answer. True where the archive is whole, false where a part of it came. */
  async function piece(): Promise<boolean> {
    let have = etag === undefined ? 0 : await lengthOf(part);
    if (size !== null && have === size) return true;
    if (size !== null && have > size) have = 0;
    const link = await client.archiveLink(status);
    const response = await ask(link, have > 0 && etag !== undefined ? { from: have, etag } : undefined, signal);
    const isRest = response.status === 206 && response.headers.get('ETag') === etag && startOf(response) === have;
    if (response.status !== 200 && !isRest) {
      // A range that makes no sense, or of another archive than the one whose beginning we have.
      await response.body?.cancel();
      etag = undefined;
      return false;
    }
    if (!isRest) {
      have = 0;
      etag = strongEtag(response);
      await options.onEtag(etag);
    }
    const received = await append(response, part, have, { ...options, origin: link.origin, signal });
    if (received.isWhole && (size === null || have + received.bytes === size)) return true;
    if (received.isWhole) {
      const found = have + received.bytes;
      await rm(part, { force: true });
      throw new DumpError('damaged', `The archive has ${found} bytes, and ${String(size)} were announced.`);
    }
    if (received.bytes === 0) throw new UnreachableError(link.origin, 'the download broke off');
    return false;
  }
}

/** @throws {RefusedError} a fresh link was refused too @throws {UnreachableError} nobody answers, or with 5xx */
async function ask(
  link: URL,
  rest: { from: number; etag: string } | undefined,
  signal: AbortSignal | undefined,
): Promise<Response> {
  // RFC 9110 §13.1.5: If-Range, "if the representation is unchanged, send me the part(s) …; otherwise, send me the entire
  // representation".
  const headers = rest === undefined ? {} : { Range: `bytes=${rest.from}-`, 'If-Range': rest.etag };
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error('no answer in time')), LONGEST_SILENCE);
  let response: Response;
  try {
    // Compressed on the way it would have other lengths. The link may lead to another host, which has no business with the key.
    response = await fetch(link, {
      headers: { ...headers, 'Accept-Encoding': 'identity' },
      signal: AbortSignal.any([silence.signal, ...(signal === undefined ? [] : [signal])]),
    });
  } catch (error) {
    signal?.throwIfAborted();
    throw new UnreachableError(link.origin, codeOf(error));
  } finally {
    clearTimeout(timer);
  }
  const { status } = response;
  if (status === 200 || status === 206 || status === 416) return response;
  await response.body?.cancel();
  if (status >= 500 || status === 429) throw new UnreachableError(link.origin, `HTTP ${status}`);
  const detail = `The link to the archive was answered ${status}: it is gone, or the clock of the server is wrong.`;
  throw new RefusedError({ type: 'about:blank', title: 'The link was refused', status, detail });
}

interface AppendOptions extends DownloadOptions {
  origin: string;
  signal: AbortSignal | undefined;
}

/** Writes what comes. A line that breaks is no error here; a disk that is full is. */
async function append(
  response: Response,
  part: string,
  from: number,
  { onBytes, signal }: AppendOptions,
): Promise<{ bytes: number; isWhole: boolean }> {
  let bytes = 0;
  let isBroken = false;
  const body = Readable.fromWeb(response.body as never);
  const silence = setTimeout(() => body.destroy(), LONGEST_SILENCE);
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    try {
      for await (const chunk of body as AsyncIterable<Uint8Array>) {
        silence.refresh();
        bytes += chunk.length;
        onBytes?.(from + bytes);
        yield chunk;
      }
    } catch {
      isBroken = true;
    }
  };
  try {
    await pipeline(counted, createWriteStream(part, { flags: from > 0 ? 'a' : 'w' }));
  } catch (error) {
    throw unwritable(part, error);
  } finally {
    clearTimeout(silence);
    body.destroy();
  }
  signal?.throwIfAborted();
  return { bytes, isWhole: !isBroken };
}

function strongEtag({ headers }: Response): string | undefined {
  const etag = headers.get('ETag');
  // RFC 9110 §13.1.5: "A client MUST NOT generate an If-Range header field containing an entity tag that is marked as weak."
  return etag === null || etag.startsWith('W/') ? undefined : etag;
}

function startOf({ headers }: Response): number | undefined {
  const start = /^bytes (\d+)-/.exec(headers.get('Content-Range') ?? '')?.[1];
  return start === undefined ? undefined : Number(start);
}
