/** What a miner does over HTTP: make a docset, ask for a dump, poll it, download the archive. */
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

export interface DumpStatus {
  id: string;
  status: string;
  done: boolean;
  stale: boolean;
  progress: number;
  phase: string | null;
  attempt: number;
  message: string;
  counts: { requested: number; packed: number; omitted: number };
  archive: { href: string; size: number | null; sha256: string | null } | null;
  error: { type: string; title: string; detail: string } | null;
}

export interface MinerClient {
  /** Makes a docset. @returns its path, such as `/api/docsets/5` */
  createDocset(docset: { name: string; collection: string; query: unknown }): Promise<string>;
  /** Asks for a dump. @returns the path to poll, and how it stands */
  requestDump(docset: string, formats: string[]): Promise<{ path: string; status: DumpStatus }>;
  /** Polls until the dump is over, as often as the server wants to be asked. */
  awaitDump(path: string, onStatus: (status: DumpStatus) => void): Promise<DumpStatus>;
  /** Downloads the archive and compares its size and digest. @throws {Error} they differ */
  download(status: DumpStatus, file: string): Promise<void>;
}

/** @param url of the service, such as `http://localhost:3000` */
export function createMinerClient(url: string, key: string): MinerClient {
  const call = async (path: string, init: RequestInit = {}): Promise<Response> => {
    const headers = { Authorization: `Bearer ${key}`, 'Content-Type': 'application/json' };
    const response = await fetch(`${url}${path}`, { ...init, headers, redirect: 'manual' });
    if (response.ok || response.status === 303) return response;
    const problem = (await response.json().catch(() => ({}))) as { title?: string; detail?: string };
    throw new Error(
      `${init.method ?? 'GET'} ${path} was answered ${response.status}: ${problem.detail ?? problem.title ?? ''}`,
    );
  };
  return {
    async createDocset(docset) {
      const response = await call('/api/docsets', { method: 'POST', body: JSON.stringify(docset) });
      return pathOf(locationOf(response, '/api/docsets', url));
    },
    async requestDump(docset, formats) {
      const response = await call(`${docset}/dump?fmt=${formats.join(',')}`, { method: 'POST' });
      return {
        path: pathOf(locationOf(response, `${docset}/dump`, url)),
        status: (await response.json()) as DumpStatus,
      };
    },
    async awaitDump(path, onStatus) {
      for (;;) {
        const response = await call(path);
        const status = (await response.json()) as DumpStatus;
        onStatus(status);
        if (status.done) return status;
        await sleep(Number(response.headers.get('Retry-After') ?? 1) * 1_000);
      }
    },
    async download(status, file) {
      if (status.archive === null) throw new Error(`The dump has no archive: ${status.message}`);
      const { href, size, sha256 } = status.archive;
      // The link may lead to another host, which has no business with the key.
      const link = locationOf(await call(href), href, url);
      const response = await fetch(link);
      if (!response.ok) throw new Error(`The link to the archive was answered ${response.status}.`);
      const hash = createHash('sha256');
      let received = 0;
      const measure = async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        for await (const chunk of chunks) {
          hash.update(chunk);
          received += chunk.length;
          yield chunk;
        }
      };
      await pipeline(Readable.fromWeb(response.body as never), measure, createWriteStream(file));
      if (size !== null && received !== size) throw new Error(`The archive has ${received} bytes instead of ${size}.`);
      const digest = hash.digest('hex');
      if (sha256 !== null && digest !== sha256)
        throw new Error(`The archive has SHA-256 ${digest} instead of ${sha256}.`);
    },
  };
}

/** What `Location` names, as a URL. */
function locationOf(response: Response, asked: string, url: string): URL {
  const location = response.headers.get('Location');
  if (location === null) throw new Error(`The answer of ${asked} has no Location.`);
  return new URL(location, url);
}

const pathOf = ({ pathname, search }: URL): string => `${pathname}${search}`;
