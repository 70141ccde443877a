/** Documents from a JSONL file, standard input, or a folder of files. */
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { IngestLine } from './ingest-client.js';

const MEDIA_TYPES: Record<string, string> = {
  '.txt': 'text/plain',
  '.pdf': 'application/pdf',
  '.html': 'text/html',
  '.xml': 'application/xml',
};

/**
 * Lines for the ingest door. In a folder, `<ref>.txt`, `.pdf`, `.html` and `.xml` are the formats of one document, and
 * `<ref>.json` its metadata.
 * @param source path, or `-` for standard input
 */
export async function* readSource(source: string): AsyncGenerator<IngestLine | string> {
  if (source === '-') yield* readLines(process.stdin);
  else if ((await stat(source)).isDirectory()) yield* readFolder(source);
  else yield* readLines(createReadStream(source));
}

async function* readLines(input: NodeJS.ReadableStream): AsyncGenerator<string> {
  for await (const line of createInterface({ input, crlfDelay: Infinity })) {
    if (line.trim() !== '') yield line;
  }
}

async function* readFolder(folder: string): AsyncGenerator<IngestLine> {
  const documents = new Map<string, string[]>();
  for (const name of (await readdir(folder)).sort()) {
    const extension = extname(name).toLowerCase();
    if (extension !== '.json' && MEDIA_TYPES[extension] === undefined) continue;
    const ref = name.slice(0, -extension.length);
    documents.set(ref, [...(documents.get(ref) ?? []), name]);
  }
  for (const [ref, names] of documents) {
    const line: IngestLine = { ref, metadata: { title: ref }, files: {} };
    for (const name of names) {
      const bytes = await readFile(join(folder, name));
      const extension = extname(name).toLowerCase();
      if (extension === '.json') line.metadata = JSON.parse(bytes.toString('utf8')) as Record<string, unknown>;
      else
        line.files[extension.slice(1)] = {
          base64: bytes.toString('base64'),
          media_type: String(MEDIA_TYPES[extension]),
        };
    }
    yield line;
  }
}
