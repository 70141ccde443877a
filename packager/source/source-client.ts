/** Asks the api-server, or a server of another make, for members and bytes (docs/packager-http.md). */
import { setTimeout as sleep } from 'node:timers/promises';
import { isNativeError } from 'node:util/types';
import pRetry from 'p-retry';
import { Agent, request, type Dispatcher } from 'undici';
import { DumpGoneError, JobFailedError } from '../job/job-failure.js';
import type { ReadShares } from './read-shares.js';

export interface SourceClientOptions {
  /** Where the api-server is reached from here. Nobody else is asked: the packager's key goes nowhere else. */
  apiUrl: URL;
  packagerKey: string;
  /** Dump id, where the request named one. */
  dump?: string | undefined;
  /** Which attempt at it. */
  attempt?: number | undefined;
  traceparent?: string | undefined;
  /** Ends every request and every retry. */
  signal: AbortSignal;
  /** First pause between two tries in milliseconds; doubles up to 16 times that. */
  retryPause?: number | undefined;
  /** Told about every piece of a body that came. */
  onBytes?: ((bytes: number) => void) | undefined;
  resources?: SourceResources | undefined;
}

/** What the jobs of a packager have in common. */
export interface SourceResources {
  /** The api-server's content folder, where that can be reached from here. */
  contentFolder?: string | undefined;
  /** Undefined: the job has all memory for itself. */
  readShares?: ReadShares | undefined;
}

/** First and last byte, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

/** An answer with status 200 or 206, its body unread. */
export interface SourceAnswer {
  /** To be read, or the connection stays open. Throws `SourceInterruptedError`. */
  pieces: AsyncGenerator<Buffer>;
  /** Closes the connection instead of reading the body. */
  discard(): void;
  contentType: string;
  /** False where a range was asked for, and is answered alone. */
  isWhole: boolean;
  /** Position of the first byte of the body in what was asked for. */
  start: number;
}

/** The bytes are to be had elsewhere, without our key. */
export interface SourceRedirect {
  location: URL;
}

export interface SourceClient {
  readonly signal: AbortSignal;
  readonly resources: SourceResources;
  /** Bytes that came from elsewhere than this client's requests. */
  noteBytes(bytes: number): void;
  /**
   * One try.
   * @throws {SourceBusyError} worth another try, as often as time allows
   * @throws {SourceStatusError} any other status that is not 200
   * @throws {DumpGoneError} 410 `dump-gone`
   * @throws {JobFailedError} the key is refused, or the URL is not one that may be asked
   */
  get(url: URL, accept: string): Promise<SourceAnswer>;
  /** As `get`, of a part of what is there; the server may name another place. */
  getRange(url: URL, range: ByteRange): Promise<SourceAnswer | SourceRedirect>;
  /**
   * As `get`, at a place that the server named in a redirect: the key does not go there, and nothing that is answered
   * ends the job.
   */
  getLinked(url: URL, range: ByteRange): Promise<SourceAnswer>;
  /** Runs `work` again for as long as it throws `SourceBusyError`: the job's signal ends it, when it stalls. */
  untilAnswered<T>(work: () => Promise<T>): Promise<T>;
  /** Waits before try number `tries + 1`. */
  pause(tries: number): Promise<void>;
}

/** 429, 502, 503, 504, or no answer at all. */
class SourceBusyError extends Error {
  override readonly name = 'SourceBusyError';
  constructor(
    message: string,
    readonly retryAfterMs: number,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

/** A status that this try cannot go on with. */
export class SourceStatusError extends Error {
  override readonly name = 'SourceStatusError';
  constructor(
    readonly status: number,
    readonly detail: string,
    /** Slug of the problem type; empty where the answer was no problem document. */
    readonly problem = '',
  ) {
    super(`answered ${status}${detail === '' ? '' : `: ${detail}`}`);
  }
}

/** The connection broke in the middle of a body. */
export class SourceInterruptedError extends Error {
  override readonly name = 'SourceInterruptedError';
}

const BUSY = new Set([408, 425, 429, 502, 503, 504]);
/** Times the first pause. */
const LONGEST_PAUSE = 16;
const LONGEST_RETRY_AFTER = 60_000;
const PROBLEM_BYTES = 16 * 1024;

type Response = Dispatcher.ResponseData;

/** Connections of all jobs: as many as there are requests at a time, which whoever asks limits. */
const connections = new Agent();

export function createSourceClient(options: SourceClientOptions): SourceClient {
  const { apiUrl, signal, retryPause = 500 } = options;
  const headers = {
    'X-API-Key': options.packagerKey,
    ...(options.dump === undefined ? {} : { 'Adit-Dump': options.dump }),
    ...(options.dump === undefined || !options.attempt ? {} : { 'Adit-Attempt': String(options.attempt) }),
    ...(options.traceparent === undefined ? {} : { traceparent: options.traceparent }),
  };

  const ask = async (url: URL, asked: Record<string, string>): Promise<Response> => {
    try {
      // A redirect is not followed: its target would be sent the packager's key.
      return await request(url, {
        dispatcher: connections,
        headers: { 'User-Agent': 'adit-packager', 'Accept-Encoding': 'identity', ...asked },
        signal,
      });
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!isNetworkFailure(error)) throw error;
      throw new SourceBusyError(`no answer from ${url.origin}`, 0, { cause: error });
    }
  };

  const answerOr = async (
    response: Response,
    refuse: (response: Response) => Promise<Error>,
  ): Promise<SourceAnswer> => {
    const { statusCode } = response;
    if (statusCode !== 200 && statusCode !== 206) throw await refuse(response);
    const coding = headerOf(response, 'content-encoding') ?? 'identity';
    if (coding === 'identity') return answerOf(response, readPieces(response, options));
    discard(response);
    throw new SourceStatusError(statusCode, `in the content coding ${coding}, which was not asked for`);
  };

  return {
    signal,
    resources: options.resources ?? {},
    noteBytes: (bytes) => options.onBytes?.(bytes),

    async get(url, accept) {
      return answerOr(await ask(reachable(url), { ...headers, Accept: accept }), refusal);
    },

    async getRange(url, range) {
      const asked = await ask(reachable(url), { ...headers, Range: `bytes=${range.start}-${range.end}` });
      const location = asked.statusCode === 307 ? linkOf(headerOf(asked, 'location') ?? '', reachable(url)) : undefined;
      if (location === undefined) return answerOr(asked, refusal);
      await asked.body.dump();
      return { location };
    },

    async getLinked(url, range) {
      return answerOr(await ask(url, { Range: `bytes=${range.start}-${range.end}` }), linkRefusal);
    },

    untilAnswered: (work) =>
      pRetry(work, {
        retries: Infinity,
        minTimeout: retryPause,
        maxTimeout: retryPause * LONGEST_PAUSE,
        randomize: true,
        signal,
        shouldRetry: ({ error }) => error instanceof SourceBusyError,
        onFailedAttempt: ({ error }) => wait(error instanceof SourceBusyError ? error.retryAfterMs : 0),
      }),

    pause: (tries) => wait(Math.min(retryPause * 2 ** (tries - 1), retryPause * LONGEST_PAUSE)),
  };

  /**
   * The server's public address need not be one that works in here (a container, a proxy in between), so its paths are asked
   * at `apiUrl`. Only where the request names a dump, though: the server confirms that it knows that dump, so it cannot be
   * another server's docset of the same id that is packed.
   */
  function reachable(url: URL): URL {
    if (url.origin === apiUrl.origin) return url;
    if (options.dump !== undefined) return new URL(`${url.pathname}${url.search}`, apiUrl);
    throw new JobFailedError('source-refused', `The packager may ask ${apiUrl.origin} only, not ${url.origin}.`);
  }

  async function wait(millis: number): Promise<void> {
    if (millis === 0) return;
    await sleep(millis, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

/** What the network or the peer did; anything else is a fault of ours, which trying again does not mend. */
function isNetworkFailure(error: unknown): boolean {
  const code: unknown = isNativeError(error) && 'code' in error ? error.code : undefined;
  return typeof code === 'string' && !code.startsWith('ERR_') && !code.startsWith('UND_ERR_INVALID');
}

function headerOf({ headers }: Response, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function answerOf(response: Response, pieces: AsyncGenerator<Buffer>): SourceAnswer {
  const isWhole = response.statusCode === 200;
  const [, start = ''] = /^bytes (\d+)-/.exec(headerOf(response, 'content-range') ?? '') ?? [];
  return {
    pieces,
    discard: () => discard(response),
    contentType: headerOf(response, 'content-type') ?? '',
    isWhole,
    start: isWhole ? 0 : Number.parseInt(start, 10),
  };
}

/** Closes the connection instead of reading the body. */
function discard({ body }: Response): void {
  body.on('error', () => undefined);
  body.destroy();
}

async function* readPieces({ body }: Response, { signal, onBytes }: SourceClientOptions): AsyncGenerator<Buffer> {
  try {
    for await (const piece of body as AsyncIterable<Buffer>) {
      onBytes?.(piece.length);
      yield piece;
    }
  } catch (cause) {
    if (signal.aborted) throw signal.reason;
    throw new SourceInterruptedError('the connection broke', { cause });
  }
}

function linkOf(location: string, from: URL): URL | undefined {
  const link = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
  return link?.protocol === 'http:' || link?.protocol === 'https:' ? link : undefined;
}

/** Of a place that the server sent us to: its statuses say nothing about the job. */
async function linkRefusal(response: Response): Promise<Error> {
  const { statusCode: status } = response;
  await response.body.dump();
  if (BUSY.has(status)) return busy(response);
  return new SourceStatusError(status, '');
}

async function refusal(response: Response): Promise<Error> {
  const { statusCode: status } = response;
  if (BUSY.has(status)) {
    await response.body.dump();
    return busy(response);
  }
  const problem = await readProblem(response);
  if (status === 410 && /(^|[/:#])dump-gone$/.test(problem.type)) return new DumpGoneError();
  if (status === 401 || status === 403) {
    return new JobFailedError('source-refused', `The server refused the packager's key (${status}).`);
  }
  if (status >= 300 && status < 400) {
    return new JobFailedError(
      'source-refused',
      `The server answered with a redirect (${status}), which packagers do not follow.`,
    );
  }
  return new SourceStatusError(status, problem.title, /[^/:#]*$/.exec(problem.type)?.[0]);
}

const busy = (response: Response): SourceBusyError =>
  new SourceBusyError(`answered ${response.statusCode}`, retryAfter(headerOf(response, 'retry-after')));

/** Milliseconds; "a date or a number of seconds" (RFC 9110, section 10.2.3). */
function retryAfter(header: string | undefined): number {
  if (header === undefined) return 0;
  const wait = /^\d+$/.test(header.trim()) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(wait) ? Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER) : 0;
}

/** Type and title of an RFC 9457 problem; empty where the body is none. */
async function readProblem(response: Response): Promise<{ type: string; title: string }> {
  const nothing = { type: '', title: '' };
  if (!(headerOf(response, 'content-type') ?? '').includes('json')) {
    await response.body.dump();
    return nothing;
  }
  try {
    const pieces: Buffer[] = [];
    let size = 0;
    for await (const piece of response.body as AsyncIterable<Buffer>) {
      pieces.push(piece);
      size += piece.length;
      if (size > PROBLEM_BYTES) return nothing;
    }
    const problem = JSON.parse(Buffer.concat(pieces).toString()) as { type?: unknown; title?: unknown };
    return {
      type: typeof problem.type === 'string' ? problem.type : '',
      title: typeof problem.title === 'string' ? problem.title : '',
    };
  } catch {
    // The status alone decides then.
    return nothing;
  }
}
