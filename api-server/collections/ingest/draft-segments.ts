/** Gathers documents into segments: about 64 MiB of files side by side, in the order of their refs. */
import type { PackedFile } from './deflate-pool.js';
import type { NewDocument } from './read-document.js';

export interface PackedDocument extends Omit<NewDocument, 'files'> {
  files: PackedFile[];
}

export interface PlacedFile extends PackedFile {
  /** Where in the segment its stored bytes begin. */
  offset: number;
}

export interface PlacedDocument extends Omit<NewDocument, 'files'> {
  files: PlacedFile[];
}

/** A segment that is in memory only. */
export interface DraftSegment {
  /** In the order of the UTF-8 bytes of their refs, which is that of their files' bytes. */
  documents: PlacedDocument[];
  /** The files in the order of their documents and formats. */
  pieces: Buffer[];
  /** Bytes. */
  size: number;
}

const SEGMENT = 64 * 1024 * 1024;

/**
 * Cuts a stream of documents into segments. Where the stream breaks off with an error, what came before it makes the last
 * segment, and then the error follows.
 */
export async function* draftSegments(
  batches: AsyncIterable<PackedDocument[]>,
  size = SEGMENT,
): AsyncGenerator<DraftSegment> {
  let documents: PackedDocument[] = [];
  let bytes = 0;
  let broken: { error: unknown } | undefined;
  try {
    for await (const batch of batches) {
      for (const document of batch) {
        documents.push(document);
        bytes += document.files.reduce((sum, { stored }) => sum + stored.length, 0);
        if (bytes < size) continue;
        yield place(documents);
        documents = [];
        bytes = 0;
      }
    }
  } catch (error) {
    broken = { error };
  }
  if (documents.length > 0) yield place(documents);
  if (broken !== undefined) throw broken.error;
}

function place(documents: PackedDocument[]): DraftSegment {
  // A ref's bytes are made once, and not for each comparison.
  const sorted = documents
    .map((document) => ({ document, key: Buffer.from(document.ref) }))
    .sort((one, other) => Buffer.compare(one.key, other.key));
  const pieces: Buffer[] = [];
  let size = 0;
  const placed = sorted.map(({ document }) => {
    const files = document.files.map((file) => {
      const offset = size;
      pieces.push(file.stored);
      size += file.stored.length;
      return { ...file, offset };
    });
    return { ...document, files };
  });
  return { documents: placed, pieces, size };
}
