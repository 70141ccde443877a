/** An api-server as a packager sees it (docs/packager-http.md), over a real socket, and with faults on demand. */
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestSegments } from './test-segments.js';

export interface TestFile {
  content: Buffer | string;
  mediaType?: string;
  /** What the listing says where it is not the truth. */
  listed?: { size?: number; sha256?: string };
}

export interface TestDocument {
  ref: string;
  title?: string;
  creator?: string;
  date?: string;
  files: Record<string, TestFile>;
}

/** Answers the request instead of the server where it returns true. */
export type Fault = (request: IncomingMessage, response: ServerResponse, url: URL) => boolean | Promise<boolean>;

export interface DocsetServer {
  /** Base, without a slash at its end. */
  url: string;
  key: string;
  /** Requests so far, as `GET /path`. */
  requests: string[];
  headers: IncomingMessage['headers'][];
  /** Largest number of file requests that were open at one time. */
  mostAtOnce(): number;
  docsetUrl(formats: string): string;
  setFault(fault: Fault | undefined): void;
  close(): Promise<void>;
}

export const KEY = 'the-key-of-a-packager';
const CREATED = '2026-11-22T01:00:01.234Z';

export async function startDocsetServer(
  documents: TestDocument[] | (() => Iterable<TestDocument>),
  {
    docset = {},
    port = 0,
    segments,
    withdrawn,
  }: {
    docset?: Record<string, unknown>;
    port?: number;
    segments?: TestSegments;
    /** How many documents were withdrawn since an earlier docset; undefined: the listing is relative to none. */
    withdrawn?: number;
  } = {},
): Promise<DocsetServer> {
  const list = typeof documents === 'function' ? documents : () => documents;
  const members = Array.isArray(documents) ? documents.length : countOf(list());
  const byRef = Array.isArray(documents) ? new Map(documents.map((document) => [document.ref, document])) : undefined;
  const findDocument = (ref: string) => byRef?.get(ref) ?? [...list()].find((document) => document.ref === ref);
  const requests: string[] = [];
  const headers: IncomingMessage['headers'][] = [];
  let fault: Fault | undefined;
  let open = 0;
  let most = 0;
  let url = '';

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const asked = new URL(request.url ?? '/', url);
    requests.push(`${String(request.method)} ${asked.pathname}`);
    headers.push(request.headers);
    if (request.headers['x-api-key'] !== KEY) {
      problem(response, 401, 'key-invalid');
      return;
    }
    if (fault !== undefined && (await fault(request, response, asked))) return;
    if (asked.pathname === '/api/docsets/5') return sendListing(response, asked);
    const segment = /^\/api\/segments\/(\w+)$/.exec(asked.pathname)?.[1];
    if (segments !== undefined && segment !== undefined) return segments.send(segment, request, response);
    const [, ref = '', format = ''] = /^\/api\/documents\/([^/]+)\/files\/(\w+)$/.exec(asked.pathname) ?? [];
    const file = findDocument(decodeURIComponent(ref))?.files[format];
    if (file === undefined) {
      problem(response, 404, 'not-found');
      return;
    }
    open += 1;
    most = Math.max(most, open);
    response.once('close', () => (open -= 1));
    const content = Buffer.from(file.content);
    response.writeHead(200, { 'Content-Type': file.mediaType ?? 'text/plain', 'Content-Length': content.length });
    response.end(content);
  };

  async function sendListing(response: ServerResponse, asked: URL): Promise<void> {
    const formats = (asked.searchParams.get('fmt') ?? 'txt').split(',');
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    const since = withdrawn === undefined ? {} : { since: { dump: 'earlier', docset: '4', withdrawn } };
    const head = { id: '5', created: CREATED, revision: 1, members, ...since, ...docset };
    response.write(`${JSON.stringify({ docset: head })}\n`);
    response.setMaxListeners(0);
    const announced = new Set<string>();
    const announce = (id: string | undefined): void => {
      const segment = segments?.segments.find((each) => each.id === id);
      if (segment === undefined || announced.has(segment.id)) return;
      announced.add(segment.id);
      response.write(`${JSON.stringify({ segment: { ...segment, href: `${url}/api/segments/${segment.id}` } })}\n`);
    };
    for (const document of list()) {
      if (response.destroyed) return;
      for (const format of formats) announce(segments?.rangeOf(document.ref, format)?.segment);
      const isRoomLeft = response.write(`${JSON.stringify(memberOf(document, formats, url, segments))}\n`);
      if (!isRoomLeft) await new Promise((resolve) => response.once('drain', resolve).once('close', resolve));
    }
    for (let number = 0; number < (withdrawn ?? 0); number++) {
      const ref = `gone-${String(number).padStart(6, '0')}`;
      response.write(`${JSON.stringify({ withdrawn: { ref, title: `Title, ${number}`, creator: null } })}\n`);
    }
    response.end(`${JSON.stringify({ end: true, members, ...(withdrawn === undefined ? {} : { withdrawn }) })}\n`);
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    key: KEY,
    requests,
    headers,
    mostAtOnce: () => most,
    docsetUrl: (formats) => `${url}/api/docsets/5?fmt=${formats}`,
    setFault(next) {
      fault = next;
    },
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error ? reject(error) : resolve()));
        server.closeAllConnections();
      }),
  };
}

export function problem(
  response: ServerResponse,
  status: number,
  type: string,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { 'Content-Type': 'application/problem+json', ...headers });
  response.end(JSON.stringify({ type: `https://adit.example/problems/${type}`, title: type, status }));
}

export function sha256(content: Buffer | string): string {
  return createHash('sha256').update(content).digest('hex');
}

function memberOf(
  { ref, title, creator, date, files }: TestDocument,
  formats: string[],
  url: string,
  segments: TestSegments | undefined,
) {
  const path = `${url}/api/documents/${encodeURIComponent(ref)}`;
  const listed = formats.flatMap((format) => {
    const file = files[format];
    if (file === undefined) return [];
    const content = Buffer.from(file.content);
    const stored = segments?.rangeOf(ref, format);
    const truth = { size: content.length, sha256: sha256(content), ...file.listed, ...(stored && { stored }) };
    return [[format, { href: `${path}/files/${format}`, media_type: file.mediaType ?? 'text/plain', ...truth }]];
  });
  return { ref, title, creator, date, url: path, files: Object.fromEntries(listed) as Record<string, unknown> };
}

function countOf(items: Iterable<unknown>): number {
  const iterator = items[Symbol.iterator]();
  let count = 0;
  while (iterator.next().done !== true) count += 1;
  return count;
}
