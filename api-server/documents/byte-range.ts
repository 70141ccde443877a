/** What HTTP has for large and unchanging things: conditions and ranges. */
import type { Request } from 'express';
import { ProblemError } from '../http/problems.js';
import type { ByteSpan } from './content-store/content-store.js';

/** RFC 9110, 13.1.2: If-None-Match compares weakly, and `*` stands for any. */
export function isKnown(request: Request, etag: string): boolean {
  const condition = request.get('if-none-match');
  if (condition === undefined) return false;
  return condition.split(',').some((part) => ['*', etag].includes(part.trim().replace(/^W\//, '')));
}

/**
 * RFC 9110, 14.2: a Range that is not understood is as if it were not there; so is one whose If-Range is not our strong ETag.
 * Several ranges at once are not understood.
 * @throws {ProblemError} `range-not-satisfiable`
 */
export function readRange(request: Request, etag: string, size: number): ByteSpan | undefined {
  const ifRange = request.get('if-range');
  if (ifRange !== undefined && ifRange.trim() !== etag) return undefined;
  const match = /^bytes=(\d{0,15})-(\d{0,15})$/i.exec(request.get('range')?.replaceAll(' ', '') ?? '');
  const [, first = '', last = ''] = match ?? [];
  if (first === '' && last === '') return undefined;
  if (first !== '' && last !== '' && Number(last) < Number(first)) return undefined;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (start >= end) {
    const headers = { 'Content-Range': `bytes */${size}` };
    throw new ProblemError('range-not-satisfiable', `There are ${size} bytes.`, {}, { headers });
  }
  return { start, end };
}

/** Status and headers of the whole, or of a range. */
export function describeSpan(range: ByteSpan | undefined, size: number) {
  if (range === undefined) return { status: 200, headers: { 'Content-Length': String(size) } };
  const { start, end } = range;
  const headers = { 'Content-Length': String(end - start), 'Content-Range': `bytes ${start}-${end - 1}/${size}` };
  return { status: 206, headers };
}
