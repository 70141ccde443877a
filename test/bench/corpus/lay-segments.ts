/** Lays a corpus into segments with the api-server's own means, and lists it as an api-server would. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pMapIterable } from 'p-map';
import { startDeflatePool } from '../../../api-server/collections/ingest/deflate-pool.js';
import { draftSegments, type PackedDocument } from '../../../api-server/collections/ingest/draft-segments.js';
import { openFolderContentStore } from '../../../api-server/documents/content-store/folder-content-store.js';
import type { Corpus, CorpusDocument } from './build-corpus.js';

export interface LaidCorpus {
  /** Lines of a listing: the segments, and then those documents. */
  listing(documents: readonly CorpusDocument[]): string;
}

const BATCH = 50;

/** @param content folder of the content store */
export async function laySegments(corpus: Corpus, content: string): Promise<LaidCorpus> {
  const pool = startDeflatePool();
  const store = openFolderContentStore(content);
  const segments: string[] = [];
  const members = new Map<string, string>();

  const pack = async (batch: readonly CorpusDocument[]): Promise<PackedDocument[]> => {
    const read = await Promise.all(batch.map((document) => readNew(corpus.folder, document)));
    const files = await pool.deflate(read.map(({ file }) => file));
    return read.map(({ document }, index) => ({ ...document, files: files.slice(index, index + 1) }));
  };

  try {
    const packed = pMapIterable(batchesOf(corpus.documents), pack, { concurrency: pool.size });
    for await (const { documents, pieces, size } of draftSegments(packed)) {
      const id = String(segments.length + 1);
      const key = `segments/bench/${id}`;
      await store.write(key, pieces);
      segments.push(JSON.stringify({ segment: { id, key, size, href: `/api/segments/${id}` } }));
      for (const { ref, title, files } of documents) {
        const [file] = files;
        if (file === undefined) continue;
        const crc32 = file.crc32.toString(16).padStart(8, '0');
        const { offset, method } = file;
        const stored = { segment: id, offset, length: file.stored.length, method, crc32, sha256: file.storedSha256 };
        const url = `http://127.0.0.1/api/documents/${members.size + 1}`;
        const txt = {
          href: `${url}/files/txt`,
          media_type: 'text/plain',
          size: file.size,
          sha256: file.sha256,
          stored,
        };
        members.set(ref, JSON.stringify({ ref, title, url, files: { txt } }));
      }
    }
  } finally {
    await pool.close();
  }
  return { listing: (documents) => [...segments, ...documents.map(({ ref }) => members.get(ref) ?? '')].join('\n') };
}

async function readNew(folder: string, { ref, title }: CorpusDocument) {
  const bytes = await readFile(join(folder, `${ref}.txt`));
  const digest = createHash('sha256').update(bytes).digest();
  return {
    document: { line: 0, ref, title, creator: null, date: null, metadata: {}, heading: title, abstract: '', digest },
    file: { format: 'txt', mediaType: 'text/plain', sha256: digest.toString('hex'), bytes },
  };
}

function* batchesOf<T>(items: readonly T[]): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += BATCH) yield items.slice(start, start + BATCH);
}
