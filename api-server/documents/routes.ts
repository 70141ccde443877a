/** Documents over HTTP. */
import type { Request } from 'express';
import { refuseUnwantedDump } from '../http/dump-header.js';
import { ProblemError } from '../http/problems.js';
import { isHead } from '../http/contract.js';
import { param, type Answer, type Route } from '../http/route.js';
import { ANY_ROLE, type Caller } from '../miners/caller.js';
import { spendDocuments } from '../miners/document-quota.js';
import type { Parts } from '../parts.js';
import { describeSpan, isKnown, readRange } from './byte-range.js';
import { filesOf, findDocument, type StoredFile } from './documents.js';
import { findSegment } from './segments.js';
import { sendFile } from './send-file.js';

/** How long a link to a segment is good, in seconds. */
const LINK_LIFETIME = 3600;

export function documentRoutes(parts: Parts): Route[] {
  const { knex, content } = parts;
  return [
    { method: 'get', path: '/documents/:document', roles: ANY_ROLE, handler: get },
    { method: 'get', path: '/documents/:document/text', roles: ANY_ROLE, handler: text },
    { method: 'get', path: '/documents/:document/files/:format', roles: ANY_ROLE, handler: file },
    { method: 'get', path: '/segments/:segment', roles: ['packager'], handler: segment },
  ];

  async function get(request: Request): Promise<Answer> {
    const { id, collection_id, metadata, ...document } = await findDocument(knex, param(request, 'document'));
    const url = `/documents/${id}`;
    const files = await filesOf(knex, id);
    return {
      json: {
        url,
        text_url: `${url}/text`,
        collection_url: `/collections/${collection_id}`,
        id,
        abstract: metadata['abstract'] ?? null,
        ...document,
        metadata,
        formats: files.map(({ format, media_type, size, sha256 }) => ({
          format,
          media_type,
          size,
          sha256,
          url: `${url}/files/${format}`,
        })),
      },
    };
  }

  /** The text, or the document in another form that the client accepts: the first of them where it accepts several. */
  async function text(request: Request, caller: Caller): Promise<Answer> {
    const { id } = await findDocument(knex, param(request, 'document'));
    const files = (await filesOf(knex, id)).filter(({ format }) => format !== 'meta').sort(textFirst);
    if (files.length === 0) throw new ProblemError('file-not-found', `Document ${id} has metadata only.`);
    const available = files.map(({ media_type }) => bareType(media_type));
    const accepted = request.accepts(available);
    const file = files.find(({ media_type }) => bareType(media_type) === accepted);
    if (file === undefined) throw new ProblemError('not-acceptable', undefined, { available });
    const answer = await counted(request, caller, sendFile(content, request, file));
    return { ...answer, headers: { ...answer.headers, Vary: 'Accept, Accept-Encoding' } };
  }

  async function file(request: Request, caller: Caller): Promise<Answer> {
    await refuseUnwantedDump(parts, request, caller);
    const { id } = await findDocument(knex, param(request, 'document'));
    const format = param(request, 'format');
    const found = (await filesOf(knex, id)).find((each) => each.format === format);
    if (found === undefined) throw new ProblemError('file-not-found', `Document ${id} has no ${format}.`);
    return counted(request, caller, sendFile(content, request, found));
  }

  /** What is read counts: neither what the client has already, nor its description. */
  async function counted(request: Request, caller: Caller, answer: Answer): Promise<Answer> {
    if (answer.stream === undefined || (request.res !== undefined && isHead(request.res))) return answer;
    return { ...answer, headers: { ...answer.headers, ...(await spendDocuments(knex, caller, 1)) } };
  }

  /** Its bytes as they are; where they are in S3, a link to them there. */
  async function segment(request: Request): Promise<Answer> {
    const { key, size } = await findSegment(knex, param(request, 'segment'));
    const link = await content.sign(key, LINK_LIFETIME);
    if (link !== undefined) return { status: 307, headers: { Location: link } };
    // Unlike the id, the key of a segment that never changes is not used again by another database.
    const etag = `"${key.slice(key.lastIndexOf('/') + 1)}"`;
    const headers = { ETag: etag, 'Accept-Ranges': 'bytes', 'Content-Type': 'application/octet-stream' };
    if (isKnown(request, etag)) return { status: 304, headers };
    const range = readRange(request, etag, size);
    const span = describeSpan(range, size);
    return {
      status: span.status,
      headers: { ...headers, ...span.headers },
      stream: content.read(key, range ?? { start: 0, end: size }),
    };
  }
}

const bareType = (mediaType: string): string => mediaType.split(';')[0]?.trim() ?? mediaType;

function textFirst(one: StoredFile, other: StoredFile): number {
  const rank = ({ format }: StoredFile) => (format === 'txt' ? 0 : format === 'pdf' ? 1 : 2);
  return rank(one) - rank(other);
}
