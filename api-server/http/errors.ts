/** The one place where errors become answers. */
import type { ErrorRequestHandler, NextFunction, Request, Response } from 'express';
import type { Logger } from 'pino';
import { ContentUnavailableError } from '../documents/content-store/content-store.js';
import { isDescribed } from './contract.js';
import { PROBLEMS, ProblemError, problemDocument, type ProblemSlug } from './problems.js';

/** The problem that an error amounts to. */
export function describeError(error: unknown): ProblemError {
  if (error instanceof ProblemError) return error;
  if (isDatabaseDown(error)) {
    return new ProblemError('database-unavailable', undefined, {}, { cause: error, headers: { 'Retry-After': '5' } });
  }
  if (error instanceof ContentUnavailableError) {
    return new ProblemError('storage-unavailable', undefined, {}, { cause: error, headers: { 'Retry-After': '5' } });
  }
  if (isTimeout(error))
    return new ProblemError('query-too-slow', undefined, {}, { cause: error, headers: { 'Retry-After': '60' } });
  const slug = slugOf(error);
  if (slug === undefined) return new ProblemError('internal-error', undefined, {}, { cause: error });
  const { message, errors, headers } = error as FrameworkError;
  return new ProblemError(
    slug,
    slug === 'request-invalid' ? (errors === undefined ? message : sentenceOf(errors)) : undefined,
    errors === undefined || slug !== 'request-invalid' ? {} : { errors: errors.map(toPointer) },
    { cause: error, headers: headers ?? {} },
  );
}

/** Renders a problem, and logs it where the fault is ours. */
export function renderProblem(log: Logger, describe: (error: unknown) => ProblemError): ErrorRequestHandler {
  // Express tells an error middleware by its four parameters.
  // eslint-disable-next-line @typescript-eslint/no-unused-vars
  return (error: unknown, request: Request, response: Response, _next: NextFunction) => {
    if (isClientGone(request, error)) return;
    const problem = asDescribed(response, describe(error));
    const { status } = PROBLEMS[problem.slug];
    if (status >= 500) log.error({ err: error, requestId: request.id }, problem.slug);
    if (response.headersSent) {
      // The status is gone already: only a broken connection tells the client that the rest is missing.
      response.destroy();
      return;
    }
    for (const name of response.getHeaderNames()) {
      if (name.startsWith('content-') && !name.startsWith('content-security')) response.removeHeader(name);
    }
    response
      .status(status)
      .set({ 'Cache-Control': 'no-store', ...problem.options.headers })
      .type('application/problem+json')
      .send(JSON.stringify(problemDocument(problem)));
  };
}

/** A status that nobody was told of is a fault of ours: found in tests, where answers are checked. */
function asDescribed(response: Response, problem: ProblemError): ProblemError {
  const { status } = PROBLEMS[problem.slug];
  if (isDescribed(response, status)) return problem;
  const cause = new Error(`openapi.yaml has no answer ${status} ${problem.slug} for this`, { cause: problem });
  return new ProblemError('internal-error', undefined, {}, { cause });
}

/** What express, its body parser and the validator throw. */
interface FrameworkError {
  status?: number;
  /** Set by the body parser. */
  type?: string;
  message?: string;
  headers?: Record<string, string>;
  errors?: { path: string; message: string }[];
}

function slugOf(error: unknown): ProblemSlug | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { status, type } = error as FrameworkError;
  if (type === 'entity.parse.failed') return 'body-not-json';
  switch (status) {
    case 400:
      return 'request-invalid';
    case 404:
      return 'path-unknown';
    case 405:
      return 'method-not-allowed';
    case 413:
      return 'body-too-large';
    case 415:
      return 'media-type-not-supported';
    default:
      return undefined;
  }
}

/** The validator's `/body/query/term` is `/query/term` in the body; other parts of a request have no JSON pointers. */
function toPointer({ path, message }: { path: string; message: string }): object {
  const [, part, name] = path.split('/');
  if (part === 'body') return { pointer: path.slice('/body'.length), detail: message };
  return { parameter: name ?? path, in: part === 'params' ? 'path' : part, detail: message };
}

/** What is wrong at each place, the alternatives of one place together. */
function sentenceOf(errors: readonly { path: string; message: string }[]): string {
  const places = new Map<string, string[]>();
  for (const { path, message } of errors) {
    const faults = places.get(path) ?? [];
    places.set(path, [...faults, message]);
  }
  return [...places].map(([path, faults]) => `${placeOf(path)} ${alternatives(faults)}.`).join(' ');
}

/** `/body/query/term` is `/query/term`, as in `errors`; `/query/limit` is `limit`. */
function placeOf(path: string): string {
  const [, part, ...rest] = path.split('/');
  if (rest.length === 0) return 'The request';
  return part === 'body' ? `/${rest.join('/')}` : rest.join('/');
}

/** Of several that a value may be, the validator tells what each asks for, and then that none fits. */
function alternatives(faults: readonly string[]): string {
  const some = faults.filter((fault) => !/^must match (exactly one schema in oneOf|a schema in anyOf)$/.test(fault));
  return [...new Set(some.length > 0 ? some : faults)].join(', or ');
}

/** The request broke off: nobody is there to be told, and nothing went wrong here. */
function isClientGone({ socket }: Request, error: unknown): boolean {
  if (!socket.destroyed || typeof error !== 'object' || error === null) return false;
  return 'code' in error && error.code === 'ECONNRESET';
}

/** PostgreSQL, query_canceled: the statement's time was over. */
function isTimeout(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'code' in error && error.code === '57014';
}

const CONNECTION_CODES = ['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENOTFOUND'];
/** PostgreSQL: too many connections, shutting down, starting up; and all of class 08, connection exception. */
const SERVER_CODES = /^(53300|57P0[123]|08...)$/;

/** What the driver says of a connection that broke, behind the statement that knex puts before it. */
const BROKEN_CONNECTION =
  /(^| - )(Connection terminated( unexpectedly)?|Client has encountered a connection error and is not queryable|timeout expired)$/;

function isDatabaseDown(error: unknown): boolean {
  if (typeof error !== 'object' || error === null) return false;
  const { code, name, message, syscall } = error as Partial<Record<'code' | 'name' | 'message' | 'syscall', string>>;
  if (name === 'KnexTimeoutError' || BROKEN_CONNECTION.test(message ?? '')) return true;
  return code !== undefined && (SERVER_CODES.test(code) || (syscall !== undefined && CONNECTION_CODES.includes(code)));
}
