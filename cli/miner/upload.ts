/** A list of documents in a file, on its way to becoming a docset: never whole in memory. */
import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { unreadable } from './files.js';
import type { UploadFacts } from './miner-client.js';

/**
 * @param base URL of the service
 * @throws {DumpError} the file cannot be read
 */
export async function uploadRequest(
  base: string,
  file: string,
  { name, collection, unknown }: UploadFacts,
): Promise<Request> {
  const url = new URL('/api/docsets', base);
  for (const [parameter, value] of Object.entries({ name, collection, unknown })) {
    if (value !== undefined) url.searchParams.set(parameter, value);
  }
  const isCsv = extname(file).toLowerCase() === '.csv';
  const isNdjson = /\.(ndjson|jsonl)$/i.test(file);
  const opened = await open(file).catch((error: unknown) => Promise.reject(unreadable(file, error)));
  const bytes = opened.createReadStream();
  return new Request(url, {
    method: 'POST',
    headers: { 'Content-Type': isCsv ? 'text/csv' : 'application/x-ndjson' },
    body: Readable.toWeb(isCsv || isNdjson ? bytes : Readable.from(asNdjson(bytes))) as ReadableStream,
    duplex: 'half',
  });
}

/** A ref a line, as JSON a line. */
async function* asNdjson(text: NodeJS.ReadableStream): AsyncGenerator<Buffer> {
  for await (const line of createInterface({ input: text, crlfDelay: Infinity })) {
    if (line.trim() !== '') yield Buffer.from(`${JSON.stringify(line.trim())}\n`);
  }
}
