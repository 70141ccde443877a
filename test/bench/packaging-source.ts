/** An api-server that lists what it is told to (docs/packager-http.md), and answers each document only after a while. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface SourceContents {
  count: number;
  /** Lines of the listing between its first and its last one; `url` is the server's. */
  lines: (url: string) => Iterable<string>;
  /** The members as the first Adit's packager wants them. */
  bareMembers?: () => { ref: string; url: string }[];
  /** Content of `/documents/<number>/…`. */
  document?: (number: number) => Buffer;
  /** Milliseconds that each document takes. */
  latency?: number;
}

export interface Source {
  url: string;
  docsetUrl: string;
  close(): Promise<void>;
}

const LISTED_AT_ONCE = 64 * 1024;

export async function startSource(contents: SourceContents): Promise<Source> {
  let url = '';
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? '/', url);
    if (pathname === '/api/docsets/5') return sendListing(request, response);
    const number = /^\/api\/documents\/(\d+)\/(text|files\/txt)$/.exec(pathname)?.[1];
    const content = number === undefined ? undefined : contents.document?.(Number(number));
    if (contents.latency !== undefined) await sleep(contents.latency);
    if (content === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': content.length }).end(content);
  }

  async function sendListing(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (!String(request.headers.accept).includes('ndjson')) {
      const members = contents.bareMembers?.() ?? [];
      response.writeHead(200, { 'Content-Type': 'application/json' }).end(JSON.stringify({ members }));
      return;
    }
    response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
    // A packager may leave in the middle.
    await pipeline(Readable.from(listing()), response).catch(() => undefined);
  }

  /** A listing, many lines at a time. */
  function* listing(): Generator<string> {
    const docset = { id: '5', created: '2026-01-01T00:00:00.000Z', revision: 1, members: contents.count };
    let text = `${JSON.stringify({ docset })}\n`;
    for (const line of contents.lines(url)) {
      text += `${line}\n`;
      if (text.length < LISTED_AT_ONCE) continue;
      yield text;
      text = '';
    }
    yield `${text}${JSON.stringify({ end: true, members: contents.count })}\n`;
  }

  return {
    url,
    docsetUrl: `${url}/api/docsets/5?fmt=txt`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
