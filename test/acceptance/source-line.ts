/**
 * Between packagers and api-server: an api-server of another make, which knows no segments, and which stops sending when a
 * test wants it to. So every byte of a document passes here, wherever segments lie.
 */
import { once } from 'node:events';
import { createServer, request, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';

export interface SourceLine {
  readonly port: number;
  /** Bytes of answers that passed since the start. */
  bytes(): number;
  /** Sends nothing more from so many bytes on, and tells nobody, until `resume`. */
  stallAt(bytes: number): void;
  resume(): void;
  close(): Promise<void>;
}

export async function startSourceLine(apiServerPort: number): Promise<SourceLine> {
  let bytes = 0;
  let limit = Infinity;
  const resumed: (() => void)[] = [];

  const pass = async (piece: Buffer | string, to: ServerResponse): Promise<void> => {
    while (bytes > limit && !to.destroyed) {
      await Promise.race([new Promise<void>((resolve) => resumed.push(resolve)), once(to, 'close')]);
    }
    bytes += piece.length;
    if (!to.destroyed && !to.write(piece)) await Promise.race([once(to, 'drain'), once(to, 'close')]);
  };

  const answer = async (from: IncomingMessage, to: ServerResponse): Promise<void> => {
    const headers = without(from.headers, 'transfer-encoding', 'connection');
    to.writeHead(from.statusCode ?? 502, headers);
    const isListing = headers['content-type']?.startsWith('application/x-ndjson') === true;
    for await (const piece of isListing ? withoutSegments(from) : from) await pass(piece as Buffer | string, to);
    to.end();
  };

  const server = createServer((asked, to) => {
    // The content itself: as gzip there would be half as many bytes.
    const headers = without(asked.headers, 'accept-encoding', 'connection');
    const options = { host: '127.0.0.1', port: apiServerPort, method: asked.method, path: asked.url, headers };
    const sent = request({ ...options, agent: false }, (from) => {
      answer(from, to).catch(() => to.destroy());
    });
    sent.on('error', () => to.destroy());
    to.on('close', () => sent.destroy());
    sent.end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');

  const resume = (): void => {
    limit = Infinity;
    for (const goOn of resumed.splice(0)) goOn();
  };
  return {
    port: (server.address() as AddressInfo).port,
    bytes: () => bytes,
    stallAt(wanted) {
      limit = wanted;
    },
    resume,
    async close() {
      resume();
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function without(headers: IncomingHttpHeaders, ...names: string[]): IncomingHttpHeaders {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !names.includes(name)));
}

async function* withoutSegments(listing: IncomingMessage): AsyncGenerator<string> {
  for await (const line of createInterface({ input: listing })) {
    const { segment, ...member } = JSON.parse(line) as {
      segment?: object;
      files?: Record<string, { stored?: object }>;
    };
    if (segment !== undefined) continue;
    for (const file of Object.values(member.files ?? {})) delete file.stored;
    yield `${JSON.stringify(member)}\n`;
  }
}
