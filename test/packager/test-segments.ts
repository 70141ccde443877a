/** Documents laid into segments as an api-server does at ingest, in a content folder of their own. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, rm, stat, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { crc32, deflateRawSync } from 'node:zlib';
import type { TestDocument } from './docset-server.js';

export interface TestSegment {
  id: string;
  key: string;
  size: number;
}

export interface TestSegments {
  /** As `DATA_DIR/content`. */
  folder: string;
  segments: TestSegment[];
  /** The `stored` of a listing; undefined where the file is not in a segment. */
  rangeOf(ref: string, format: string): ListedRange | undefined;
  pathOf(id: string): string;
  /** Answers `GET /api/segments/{id}`, with a range where one is asked for. */
  send(id: string, request: IncomingMessage, response: ServerResponse): Promise<void>;
  /** Changes one bit of the stored bytes of a file, on disk. */
  flipBit(ref: string, format: string): Promise<void>;
  remove(): Promise<void>;
}

export interface ListedRange {
  segment: string;
  offset: number;
  length: number;
  method: string;
  crc32: string;
  sha256: string;
}

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

export async function layInSegments(
  documents: readonly TestDocument[],
  {
    segmentSize = 64 * 1024,
    isStored = () => true,
  }: { segmentSize?: number; isStored?: (ref: string) => boolean } = {},
): Promise<TestSegments> {
  const folder = await mkdtemp(join(tmpdir(), 'adit-content-'));
  const segments: TestSegment[] = [];
  const ranges = new Map<string, ListedRange>();
  let pieces: Buffer[] = [];
  let size = 0;

  const seal = async (): Promise<void> => {
    if (size === 0) return;
    const segment = { id: String(segments.length + 1), key: `segments/test/${randomUUID()}`, size };
    await mkdir(dirname(join(folder, segment.key)), { recursive: true });
    await writeFile(join(folder, segment.key), Buffer.concat(pieces));
    segments.push(segment);
    pieces = [];
    size = 0;
  };

  for (const { ref, files } of documents) {
    if (!isStored(ref)) continue;
    for (const format of Object.keys(files).sort()) {
      const content = Buffer.from(files[format]?.content ?? '');
      const deflated = deflateRawSync(content, { level: 6 });
      const method = deflated.length < content.length ? 'deflate' : 'store';
      const bytes = method === 'deflate' ? deflated : content;
      ranges.set(`${ref}/${format}`, {
        segment: String(segments.length + 1),
        offset: size,
        length: bytes.length,
        method,
        crc32: crc32(content).toString(16).padStart(8, '0'),
        sha256: sha256(bytes),
      });
      pieces.push(bytes);
      size += bytes.length;
      if (size >= segmentSize) await seal();
    }
  }
  await seal();
  const pathOf = (id: string): string => join(folder, segments[Number(id) - 1]?.key ?? 'none');

  return {
    folder,
    segments,
    rangeOf: (ref, format) => ranges.get(`${ref}/${format}`),
    pathOf,
    send: (id, request, response) => sendFile(pathOf(id), request, response),
    async flipBit(ref, format) {
      const range = ranges.get(`${ref}/${format}`);
      if (range === undefined) throw new Error(`${ref} is not in a segment`);
      const file = await open(pathOf(range.segment), 'r+');
      const byte = Buffer.alloc(1);
      const position = range.offset + Math.floor(range.length / 2);
      await file.read(byte, 0, 1, position);
      byte[0] = (byte[0] ?? 0) ^ 1;
      await file.write(byte, 0, 1, position);
      await file.close();
    },
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

async function sendFile(path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const size = (await stat(path).catch(() => undefined))?.size;
  if (size === undefined) {
    response.writeHead(404).end();
    return;
  }
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
  const start = Number(first ?? 0);
  const end = Math.min(Number(last ?? size - 1), size - 1);
  if (start >= size) {
    response.writeHead(416, { 'Content-Range': `bytes */${size}` }).end();
    return;
  }
  response.writeHead(first === undefined ? 200 : 206, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': end - start + 1,
    ...(first === undefined ? {} : { 'Content-Range': `bytes ${start}-${end}/${size}` }),
  });
  // A client that goes away in the middle is no fault of the server.
  await pipeline(createReadStream(path, { start, end, highWaterMark: 256 * 1024 }), response).catch(() => undefined);
}
