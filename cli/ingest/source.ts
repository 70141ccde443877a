/** What a source of documents is to `adit ingest`: a stream of documents, and of what cannot be sent, with the reason. */
import { isUtf8 } from 'node:buffer';
import { basename } from 'node:path/posix';
import prettyBytes from 'pretty-bytes';
import {
  describeDocument,
  faultOfRef,
  readDocument,
  RefusedLineError,
  type GivenFile,
} from '../../api-server/collections/ingest/read-document.js';

export type SourceItem =
  | SourceDocument
  /** `ref` is null where the item may be any document of the collection. */
  | { type: 'refused'; where: string; ref: string | null; reason: string }
  /** Is no document, and nobody will miss it. */
  | { type: 'skipped'; where: string; reason: string };

export interface SourceDocument {
  type: 'document';
  /** Where in the source it is, for people: `line 7`, `theses/a.pdf`. */
  where: string;
  ref: string;
  /** Bytes of its files, about. */
  size: number;
  /** SHA-256 of all that the server would store of it, in hexadecimal. */
  digest(): string;
  /** Its line for the ingest door, with the line feed. */
  line(): Buffer;
}

export interface Progress {
  done: number;
  /** Undefined where nobody knows. */
  total: number | undefined;
  unit: 'bytes' | 'files';
}

export interface Source {
  /** Can be read once. @throws {Error} the source is broken: what it would have had behind that place is not known */
  items(): AsyncIterable<SourceItem>;
  progress(): Progress;
  /** Deletes what was kept on disk. */
  close(): Promise<void>;
}

/** The server takes lines of up to this many bytes. */
const LONGEST_LINE = 64 * 1024 * 1024;
/** Bytes of a file: more would not fit into a line once they are written as base64. */
export const LARGEST_FILE = 47 * 1024 * 1024;

export const tooLarge = (bytes: number): string =>
  `it has ${bytes} bytes (${prettyBytes(bytes, { binary: true })}); a file may have 47 MiB, since it is sent in a line of 64 MiB at most`;

/** A file cannot be read into a document; the message says why. */
export class RefusedFileError extends Error {
  override readonly name = 'RefusedFileError';
}

/** A document whose files were read. */
export function documentItem(
  where: string,
  ref: string,
  metadata: Record<string, unknown>,
  given: readonly GivenFile[],
): SourceItem {
  const refuse = (reason: string): SourceItem => ({ type: 'refused', where, ref, reason });
  const fault = faultOfRef(ref);
  if (fault !== undefined) return refuse(`its ref ${fault}`);
  const broken = given.find(({ format, bytes }) => format === 'txt' && !isUtf8(bytes));
  if (broken !== undefined) return refuse('its txt is not valid UTF-8');
  const files = given.map(withTrueMediaType);
  const size = files.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const line = () =>
    Buffer.from(`${JSON.stringify({ ref, metadata, files: Object.fromEntries(files.map(asMember)) })}\n`);
  // Two documents of this size rarely meet, and one that is too long would break off everything behind it.
  if (size > LONGEST_LINE / 2 && line().length > LONGEST_LINE) {
    return refuse(`its files have ${size} bytes together; they do not fit into a line of ${LONGEST_LINE} bytes`);
  }
  return {
    type: 'document',
    where,
    ref,
    size,
    digest: () => describeDocument(ref, metadata, files).digest.toString('hex'),
    line,
  };
}

/** HTML that is not UTF-8 says by itself what it is. */
function withTrueMediaType(file: GivenFile): GivenFile {
  return file.format === 'html' && !isUtf8(file.bytes) ? { ...file, mediaType: 'text/html' } : file;
}

const TEXTS = ['txt', 'html', 'xml', 'json', 'tei'];

function asMember({ format, bytes, mediaType }: GivenFile): [string, object] {
  const media = mediaType === undefined ? {} : { media_type: mediaType };
  const isText = TEXTS.includes(format) && isUtf8(bytes);
  return [format, { ...(isText ? { text: bytes.toString('utf8') } : { base64: bytes.toString('base64') }), ...media }];
}

/** A line that somebody else has made for the ingest door. */
export function lineItem(where: string, text: string): SourceItem {
  try {
    const { ref, digest } = readDocument(text, 0);
    return {
      type: 'document',
      where,
      ref,
      size: text.length,
      digest: () => digest.toString('hex'),
      line: () => Buffer.from(`${text}\n`),
    };
  } catch (error) {
    if (!(error instanceof RefusedLineError)) throw error;
    return { type: 'refused', where, ref: error.ref ?? null, reason: error.message };
  }
}

/** What a document is called that nobody has described. */
export const titleOf = (ref: string): string => basename(ref);
