/** Answers a file, in the coding that the client accepts: what is stored is sent as gzip without inflating it. */
import type { Request } from 'express';
import type { Answer } from '../http/route.js';
import { describeSpan, isKnown, readRange } from './byte-range.js';
import type { ContentStore } from './content-store/content-store.js';
import type { StoredFile } from './documents.js';
import { gzipLength, readContent, readGzip } from './read-file.js';

export function sendFile(content: ContentStore, request: Request, file: StoredFile): Answer {
  const etag = `"${file.sha256}"`;
  const headers = {
    'Accept-Ranges': 'bytes',
    // Kept by a browser, but asked about each time: the key may have been revoked.
    'Cache-Control': 'private, no-cache',
    'Content-Type': file.media_type,
    Vary: 'Accept-Encoding',
    // A document is shown or saved, never run, whatever is in it.
    'Content-Security-Policy': "default-src 'none'; sandbox",
  };
  const range = readRange(request, etag, file.size);
  // A range counts the bytes of the content: one of the gzip would be of no use to anybody.
  if (range === undefined && acceptsGzip(request, file)) return sendGzip(content, request, file, headers);
  if (isKnown(request, etag)) return { status: 304, headers: { ...headers, ETag: etag } };
  const span = describeSpan(range, file.size);
  return {
    status: span.status,
    headers: { ...headers, ...span.headers, ETag: etag },
    stream: readContent(content, file, range ?? { start: 0, end: file.size }),
  };
}

function sendGzip(
  content: ContentStore,
  request: Request,
  file: StoredFile,
  headers: Readonly<Record<string, string>>,
): Answer {
  // RFC 9110, 8.8.3.3: "the content codings … result in different representations", each with a strong ETag of its own.
  const etag = `"${file.sha256}-gzip"`;
  if (isKnown(request, etag)) return { status: 304, headers: { ...headers, ETag: etag } };
  return {
    headers: { ...headers, ETag: etag, 'Content-Encoding': 'gzip', 'Content-Length': String(gzipLength(file)) },
    stream: readGzip(content, file),
  };
}

function acceptsGzip(request: Request, { method }: StoredFile): boolean {
  return method === 'deflate' && request.acceptsEncodings(['gzip', 'identity']) === 'gzip';
}
