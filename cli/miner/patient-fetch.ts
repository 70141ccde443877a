/** Requests that wait as long as the server asks, are repeated where that does no harm, and throw what the server refuses. */
import { setTimeout as sleep } from 'node:timers/promises';
import ms from 'ms';
import pRetry from 'p-retry';
import { RefusedError, UnreachableError } from './errors.js';

export interface PatienceOptions {
  /** Sent as `Authorization: Bearer`. */
  key?: string | undefined;
  /** For how long a request is repeated while the server is away or busy, in milliseconds. */
  retryFor: number;
  signal?: AbortSignal | undefined;
  /** Told why it waits, in a few words. */
  onWait?: ((why: string) => void) | undefined;
}

export interface PatientFetch {
  (request: Request): Promise<Response>;
  /** One try; for what cannot be sent twice. */
  once(request: Request): Promise<Response>;
}

/** An answer that does not begin within this time, in milliseconds, will not come. */
const LONGEST_SILENCE = 90_000;
const SHORTEST_PAUSE = 500;
const LONGEST_PAUSE = 10_000;

/** @throws {RefusedError | UnreachableError} from both functions; an answer is always a success or a redirection */
export function createPatientFetch({ key, retryFor, signal, onWait }: PatienceOptions): PatientFetch {
  // A server that never answered has the wrong address rather than a bad moment.
  let hasAnswered = false;

  const once = async (request: Request): Promise<Response> => {
    const silence = new AbortController();
    const timer = setTimeout(() => silence.abort(new Error('no answer in time')), LONGEST_SILENCE);
    if (key !== undefined) request.headers.set('Authorization', `Bearer ${key}`);
    try {
      const response = await fetch(request, {
        redirect: 'manual',
        signal: AbortSignal.any([request.signal, silence.signal, ...(signal === undefined ? [] : [signal])]),
      });
      hasAnswered = true;
      return await answerOrRefusal(request, response);
    } catch (error) {
      if (error instanceof RefusedError) throw error;
      signal?.throwIfAborted();
      request.signal.throwIfAborted();
      throw new UnreachableError(new URL(request.url).origin, codeOf(error));
    } finally {
      clearTimeout(timer);
    }
  };

  const patient = (request: Request): Promise<Response> => {
    const deadline = Date.now() + retryFor;
    return pRetry(() => once(request.clone()), {
      retries: Infinity,
      minTimeout: SHORTEST_PAUSE,
      maxTimeout: LONGEST_PAUSE,
      maxRetryTime: retryFor,
      randomize: true,
      ...(signal === undefined ? {} : { signal }),
      shouldRetry: ({ error }) => hasAnswered && mayBeRepeated(request, error),
      // A pause that the server names is neither made longer nor counted: the next one is as long as it says then.
      shouldConsumeRetry: ({ error }) => pauseOf(error) === 0,
      onFailedAttempt: async ({ error }) => {
        if (!hasAnswered || !mayBeRepeated(request, error)) return;
        const pause = pauseOf(error);
        if (Date.now() + pause > deadline) throw error;
        onWait?.(pause > 0 ? `the server asks to wait ${ms(pause)}` : error.message);
        // Two that were told the same do not come back at the same moment.
        await sleep(pause * (1 + Math.random() / 10), undefined, signal === undefined ? {} : { signal });
      },
    });
  };
  return Object.assign(patient, { once });
}

/** JSON is read here, where a break in the middle of it is still the failure of a request that may be repeated. */
async function answerOrRefusal(request: Request, response: Response): Promise<Response> {
  const { status, headers } = response;
  const type = headers.get('Content-Type') ?? '';
  if (response.ok && !type.startsWith('application/json')) {
    if (!type.startsWith('text/html')) return response;
    await response.body?.cancel();
    throw refusal(request, response, 'The answer is a web page: is this the address of an Adit server?');
  }
  if (status === 303 || status === 304) return response;
  const text = await response.text();
  if (response.ok) return new Response(text, { status, headers });
  throw refusal(request, response, text);
}

function refusal({ method, url }: Request, { status, headers }: Response, text: string): RefusedError {
  const asked = `${method} ${new URL(url).pathname}`;
  const plain = { type: 'about:blank', title: `HTTP ${status}`, status, detail: `${asked} was answered ${status}.` };
  try {
    const problem = JSON.parse(text) as Partial<RefusedError['problem']>;
    return new RefusedError({ ...plain, ...problem }, readRetryAfter(headers));
  } catch {
    const detail = text.startsWith('The answer is') ? `${asked} was answered ${status}. ${text}` : plain.detail;
    return new RefusedError({ ...plain, detail }, readRetryAfter(headers));
  }
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 §10.2.3). */
export function readRetryAfter(headers: Headers): number | undefined {
  const text = headers.get('Retry-After');
  if (text === null) return undefined;
  const pause = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - Date.now();
  return Number.isNaN(pause) ? undefined : Math.max(0, pause);
}

const pauseOf = (error: Error): number => (error instanceof RefusedError ? (error.retryAfter ?? 0) : 0);

/** Busy or restarting: nothing was done. */
const UNDONE_STATUSES = [429, 503];
/** A proxy does not know whether anything was done. */
const UNSURE_STATUSES = [502, 504];
/** There was nobody to do anything. */
const UNDONE_CODES = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

function mayBeRepeated(request: Request, error: Error): boolean {
  if (error instanceof RefusedError) {
    const { status } = error.problem;
    return UNDONE_STATUSES.includes(status) || (UNSURE_STATUSES.includes(status) && isIdempotent(request));
  }
  return error instanceof UnreachableError && (UNDONE_CODES.includes(error.code) || isIdempotent(request));
}

/** A search changes nothing, and a dump that is asked for again is the same dump, unless it is forced. */
function isIdempotent({ method, url }: Request): boolean {
  if (method !== 'POST') return true;
  const { pathname, searchParams } = new URL(url);
  return /\/(search|dump)$/.test(pathname) && searchParams.get('force') !== 'true';
}

/** What fetch hides in `cause`: the system's code, or the innermost words. */
export function codeOf(error: unknown): string {
  let innermost = error;
  while (innermost instanceof Error && innermost.cause instanceof Error) innermost = innermost.cause;
  if (!(innermost instanceof Error)) return String(innermost);
  return 'code' in innermost && typeof innermost.code === 'string' ? innermost.code : innermost.message;
}
