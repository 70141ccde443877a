/** The content of a file, for those who do not want it as it lies in a segment. */
import { pipeline } from 'node:stream';
import { createInflateRaw, inflateRaw } from 'node:zlib';
import type { FetchedStoredFile } from './fetch-file.js';

export type ContentSource =
  { type: 'fetched'; content: Buffer } | Pick<FetchedStoredFile, 'type' | 'data' | 'method' | 'size'>;

/** To be read once. Throws where the stored bytes make no such content. */
export async function* contentOf(file: ContentSource): AsyncGenerator<Buffer> {
  if (file.type === 'fetched') {
    yield file.content;
    return;
  }
  const { data, method, size } = file;
  if (method === 'store') {
    if (Buffer.isBuffer(data)) yield data;
    else yield* data;
  } else if (Buffer.isBuffer(data)) {
    yield await inflated(data, size);
  } else {
    const inflating = createInflateRaw();
    // Whatever ends it is thrown by the loop over what comes out.
    pipeline(data, inflating, () => undefined);
    yield* inflating as AsyncIterable<Buffer>;
  }
}

function inflated(data: Buffer, size: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    // Content longer than was said is refused, rather than held.
    inflateRaw(data, { maxOutputLength: Math.max(size, 1) }, (error, content) => {
      if (error) reject(error);
      else resolve(content);
    });
  });
}
