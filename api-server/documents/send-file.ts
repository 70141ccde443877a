/** Answers a file with what HTTP has for large and unchanging things: ETag, conditions, ranges. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import type { Answer } from '../http/route.js';
import { readBytes, type StoredFile } from './documents.js';

export function sendFile(knex: Knex, request: Request, file: StoredFile): Answer {
  const etag = `"${file.sha256}"`;
  const headers = {
    ETag: etag,
    'Accept-Ranges': 'bytes',
    // Kept by a browser, but asked about each time: the key may have been revoked.
    'Cache-Control': 'private, no-cache',
    'Content-Type': file.media_type,
    // A document is shown or saved, never run, whatever is in it.
    'Content-Security-Policy': "default-src 'none'; sandbox",
  };
  if (isKnown(request.get('if-none-match'), etag)) return { status: 304, headers };
  const range = readRange(request, etag, file.size);
  if (range === undefined) {
    const whole = { start: 0, end: file.size };
    return { headers: { ...headers, 'Content-Length': String(file.size) }, stream: readBytes(knex, file, whole) };
  }
  const { start, end } = range;
  return {
    status: 206,
    headers: {
      ...headers,
      'Content-Length': String(end - start),
      'Content-Range': `bytes ${start}-${end - 1}/${file.size}`,
    },
    stream: readBytes(knex, file, range),
  };
}

/** RFC 9110, 13.1.2: If-None-Match compares weakly, and `*` stands for any. */
function isKnown(condition: string | undefined, etag: string): boolean {
  if (condition === undefined) return false;
  return condition.split(',').some((part) => ['*', etag].includes(part.trim().replace(/^W\//, '')));
}

/**
 * RFC 9110, 14.2: a Range that is not understood is as if it were not there; so is one whose If-Range is not our strong ETag.
 * Several ranges at once are not understood.
 */
function readRange(request: Request, etag: string, size: number): { start: number; end: number } | undefined {
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
    throw new ProblemError('range-not-satisfiable', `The document has ${size} bytes.`, {}, { headers });
  }
  return { start, end };
}
