/** Keyset paging: a cursor is the key of the last row of the page before, in a form that nobody is tempted to build. */
import type { Request } from 'express';
import { ProblemError } from './problems.js';
import { isStorable } from './request-body.js';
import { queryParam } from './route.js';

export interface Page {
  limit: number;
  /** Key of the last row before this page. */
  after: string | undefined;
}

export function readPage(request: Request, defaultLimit: number): Page {
  const limit = queryParam(request, 'limit');
  const cursor = queryParam(request, 'cursor');
  return {
    limit: limit === undefined ? defaultLimit : Number(limit),
    after: cursor === undefined ? undefined : decode(cursor),
  };
}

/** The header that leads to the next page (RFC 8288), where there is one. */
export function nextLink(request: Request, after: string | undefined): Record<string, string> {
  if (after === undefined) return {};
  const query = new URLSearchParams(request.originalUrl.split('?')[1]);
  query.set('cursor', Buffer.from(after).toString('base64url'));
  return { Link: `<${request.originalUrl.split('?')[0] ?? ''}?${query.toString()}>; rel="next"` };
}

function decode(cursor: string): string {
  const bytes = Buffer.from(cursor, 'base64url');
  const text = bytes.toString('utf8');
  const isOurs = Buffer.from(text).equals(bytes) && bytes.toString('base64url') === cursor && isStorable(text);
  if (!isOurs) throw new ProblemError('cursor-invalid');
  return text;
}
