/** Reading JSON bodies, and refusing what no database could keep. */
import express, { type NextFunction, type Request, type RequestHandler, type Response } from 'express';
import { ProblemError } from './problems.js';

const LARGEST_BODY = 1024 * 1024;
/** For a million refs of a docset. */
const LARGEST_DOCSET = 64 * 1024 * 1024;
const DEEPEST = 100;

/** Anything that is JSON, even if it is no object: the API description says what is wrong with it better than the parser. */
export function jsonBody(): RequestHandler {
  const reader = (limit: number): RequestHandler =>
    express.json({ limit, strict: false, type: ['application/json', 'application/*+json'] });
  const ordinary = reader(LARGEST_BODY);
  const docset = reader(LARGEST_DOCSET);
  return (request, response, next) => {
    // RFC 9110, section 9.3.1 and 9.3.5: what such a request brings along has no meaning.
    if (['GET', 'HEAD', 'DELETE'].includes(request.method)) {
      next();
      return;
    }
    const isDocset = request.method === 'POST' && request.path === '/docsets';
    (isDocset ? docset : ordinary)(request, response, next);
  };
}

/**
 * PostgreSQL keeps neither U+0000 nor half a surrogate pair in a text. Found here once, they need not be feared
 * anywhere behind.
 */
export function refuseUnstorableText(request: Request, _response: Response, next: NextFunction): void {
  const fault = findUnstorable(request.body);
  if (fault !== undefined) {
    throw new ProblemError('request-invalid', `The body has ${fault.detail} at ${fault.pointer}.`, { errors: [fault] });
  }
  next();
}

/** The first place in a JSON value that cannot be stored, as a JSON pointer. */
export function findUnstorable(root: unknown): { pointer: string; detail: string } | undefined {
  // A stack of our own: a body of 1 MiB can be nested half a million levels deep. Texts are never put on it, nor are their
  // pointers made: a list may have a million of them.
  if (typeof root === 'string') return isStorable(root) ? undefined : { pointer: '', detail: UNSTORABLE };
  const stack: { value: unknown; pointer: string; depth: number }[] = [{ value: root, pointer: '', depth: 0 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { value, pointer, depth } = top;
    if (typeof value !== 'object' || value === null) continue;
    if (depth === DEEPEST) return { pointer, detail: `more than ${DEEPEST} levels` };
    for (const [key, child] of childrenOf(value)) {
      if (!isStorable(key)) return { pointer, detail: 'a name with U+0000 or half a surrogate pair' };
      if (typeof child === 'string' && !isStorable(child)) return { pointer: below(pointer, key), detail: UNSTORABLE };
      if (typeof child === 'object') stack.push({ value: child, pointer: below(pointer, key), depth: depth + 1 });
    }
  }
  return undefined;
}

function* childrenOf(value: object): Generator<[string, unknown]> {
  if (!Array.isArray(value)) yield* Object.entries(value);
  else for (let index = 0; index < value.length; index += 1) yield [String(index), value[index]];
}

const UNSTORABLE = 'a text with U+0000 or half a surrogate pair';

const below = (pointer: string, name: string): string => `${pointer}/${escapePointer(name)}`;

/** RFC 6901, section 3: `~` and `/` in a name are written `~0` and `~1`. */
export const escapePointer = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1');

export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes('\0');
