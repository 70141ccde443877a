/** The API of the service, typed by openapi.yaml; every failure is a RefusedError or an UnreachableError. */
import createClient from 'openapi-fetch';
import type { components, paths } from '../../http/openapi-types.js';
import { takeEarly } from './early.js';
import { currentKey, signOut } from './session.js';

export type Schemas = components['schemas'];

/** A problem document. */
export type Problem = Schemas['Problem'];

/** The server said no, and why. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError';
  constructor(
    readonly problem: Problem,
    /** Seconds after which it is worth while to try again; undefined where the server does not say. */
    readonly retryAfter?: number,
  ) {
    super(problem.detail);
  }

  /** `docset-not-found` */
  get code(): string {
    return this.problem.type.slice('/problems/'.length);
  }
}

/** There was no answer, or one that is not of this service. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

/** For requests outside the client below, such as a poll of a path that came with an answer. @throws {UnreachableError} */
export async function fetchWithKey(request: Request): Promise<Response> {
  const key = currentKey();
  if (key !== undefined && !request.headers.has('X-API-Key')) request.headers.set('X-API-Key', key);
  let response: Response;
  try {
    response = await (takeEarly(request) ?? fetch(request));
  } catch (cause) {
    if (request.signal.aborted) throw cause;
    throw new UnreachableError('The service cannot be reached.', { cause });
  }
  // A key that was just tried in the sign-in is not the session's.
  if (response.status === 401 && key !== undefined && request.headers.get('X-API-Key') === key) {
    signOut((await problemOf(response.clone())).detail);
  }
  return response;
}

export const api = createClient<paths, 'application/json'>({ baseUrl: '/api', fetch: fetchWithKey });

interface Answer<Body> {
  data?: Body;
  error?: unknown;
  response: Response;
}

/** The body of an answer. @throws {RefusedError} @throws {UnreachableError} */
export async function bodyOf<Body>(asked: Promise<Answer<Body>>): Promise<Body> {
  const { data, error, response } = await asked;
  if (response.ok && data !== undefined) return data;
  throw refusedBy(response, error);
}

/** The error that an answer amounts to that is no success. @param body as it was parsed */
export function refusedBy(response: Response, body: unknown): Error {
  const retryAfter = Number(response.headers.get('Retry-After') ?? Number.NaN);
  if (isProblem(body)) return new RefusedError(body, Number.isFinite(retryAfter) ? retryAfter : undefined);
  return new UnreachableError(`The service answered ${response.status}, and nothing that this page understands.`);
}

const isProblem = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && 'type' in body && 'title' in body && 'detail' in body;

async function problemOf(response: Response): Promise<Problem> {
  const body: unknown = await response.json().catch(() => undefined);
  if (isProblem(body)) return body;
  return { type: '/problems/key-invalid', title: 'The key is not valid', status: 401, detail: 'The key is not valid.' };
}

/** The cursor in `Link: <…?cursor=…>; rel="next"`; undefined on the last page. */
export function nextCursor(response: Response): string | undefined {
  const target = /<([^>]*)>\s*;\s*rel="?next"?/.exec(response.headers.get('Link') ?? '')?.[1];
  return target === undefined ? undefined : (new URL(target, location.origin).searchParams.get('cursor') ?? undefined);
}
