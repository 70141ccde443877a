/** One line of an ingest, read into what is stored. */
import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { findUnstorable, isStorable } from '../../http/request-body.js';
import { jsonLd, type Metadata } from './json-ld.js';

export interface NewFile {
  format: string;
  mediaType: string;
  sha256: string;
  bytes: Buffer;
}

/** A file as it is given. */
export interface GivenFile {
  format: string;
  bytes: Buffer;
  /** By default, what the format usually is. */
  mediaType?: string | undefined;
}

export interface NewDocument {
  /** Line of the ingest. */
  line: number;
  ref: string;
  title: string | null;
  creator: string | null;
  date: string | null;
  metadata: Metadata;
  /** What the full text index gets to see before the text, and takes for more important. */
  heading: string;
  /** What it gets to see where there is no text. */
  abstract: string;
  /** The same for two documents exactly when all that is stored of them is the same. */
  digest: Buffer;
  files: NewFile[];
}

/** The line is no document that can be kept; the message says why. */
export class RefusedLineError extends Error {
  override readonly name = 'RefusedLineError';
  constructor(
    reason: string,
    readonly ref?: string,
  ) {
    super(reason);
  }
}

/** The format whose content the full text index gets to see. */
export const TEXT = 'txt';

const LONGEST_REF = 255;
// eslint-disable-next-line no-control-regex -- these are the ones that no archive and no log should meet
const CONTROL = /[\u0000-\u001f\u007f]/;
const MEDIA_TYPES: Record<string, string> = {
  txt: 'text/plain; charset=utf-8',
  html: 'text/html; charset=utf-8',
  xml: 'application/xml',
  json: 'application/json',
  pdf: 'application/pdf',
  tei: 'application/tei+xml',
};

/** What keeps a ref from being one. */
export function faultOfRef(ref: string): string | undefined {
  if (ref === '') return 'must not be empty';
  if (Buffer.byteLength(ref) > LONGEST_REF) return `must have at most ${LONGEST_REF} bytes`;
  if (CONTROL.test(ref) || ref.startsWith('/')) return 'must not begin with / nor have control characters';
  return isStorable(ref) ? undefined : 'must not have half a surrogate pair';
}

const mediaType = z
  .string()
  .regex(/^[a-z0-9][a-z0-9.+-]*\/[a-z0-9][a-z0-9.+-]*(; ?charset=[a-z0-9-]+)?$/i, 'must be a media type')
  .optional();
const file = z.union(
  [
    z.strictObject({ text: z.string(), media_type: mediaType }),
    z.strictObject({ base64: z.base64(), media_type: mediaType }),
  ],
  'must be {"text": "…"} or {"base64": "…", "media_type": "…"}',
);
const line = z.strictObject({
  ref: z.string().superRefine((ref, context) => {
    const message = faultOfRef(ref);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  }),
  metadata: z.record(z.string(), z.json()).default({}),
  files: z.record(z.string().regex(/^[a-z0-9]{1,16}$/, 'a format is a-z and 0-9, at most 16'), file).default({}),
});

/** @throws {RefusedLineError} */
export function readDocument(text: string, number: number): NewDocument {
  const value = parseJson(text);
  const result = line.safeParse(value);
  const ref = refOf(value);
  if (!result.success) throw new RefusedLineError(describeIssues(result.error), ref);
  const { metadata, files } = result.data;
  // U+0000 in a text file is the file's business; in a ref or in metadata it would have to go into the database as text.
  const fault = findUnstorable({ ref: result.data.ref, metadata });
  if (fault !== undefined) throw new RefusedLineError(`${fault.pointer}: ${fault.detail}`, ref);
  if (files['meta'] !== undefined) throw new RefusedLineError('files/meta is made from the metadata', ref);
  const given = Object.entries(files).map(([format, content]) => ({
    format,
    bytes: 'text' in content ? Buffer.from(content.text) : Buffer.from(content.base64, 'base64'),
    mediaType: content.media_type,
  }));
  const document = describeDocument(result.data.ref, metadata, given);
  const broken = document.files.find(({ mediaType, bytes }) => SAYS_UTF8.test(mediaType) && !isUtf8(bytes));
  if (broken !== undefined) throw new RefusedLineError(`files/${broken.format} is not valid UTF-8`, ref);
  return { line: number, ...document };
}

const SAYS_UTF8 = /; ?charset=utf-8$/i;

/** What is stored of a document. */
export function describeDocument(
  ref: string,
  metadata: Metadata,
  given: readonly GivenFile[],
): Omit<NewDocument, 'line'> {
  const title = textOf(metadata['title']);
  const creator = textOf(metadata['creator'] ?? metadata['author']);
  const date = textOf(metadata['date'] ?? metadata['issue_date']);
  const meta = {
    format: 'meta',
    mediaType: 'application/ld+json',
    bytes: jsonLd({ ref, title, creator, date, metadata }),
  };
  const files = [meta, ...given].map(newFile).sort((one, other) => (one.format < other.format ? -1 : 1));
  const digest = createHash('sha256').update(canonicalJson(metadata));
  for (const { format, mediaType, sha256 } of files) digest.update(`\n${format} ${mediaType} ${sha256}`);
  const heading = [title, creator].filter(Boolean).join('\n');
  const abstract = textOf(metadata['abstract']) ?? '';
  return { ref, title, creator, date, metadata, heading, abstract, digest: digest.digest(), files };
}

function newFile({ format, bytes, mediaType = MEDIA_TYPES[format] ?? 'application/octet-stream' }: GivenFile): NewFile {
  return { format, mediaType, sha256: createHash('sha256').update(bytes).digest('hex'), bytes };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new RefusedLineError('the line is not JSON');
  }
}

function refOf(value: unknown): string | undefined {
  const ref = typeof value === 'object' && value !== null && 'ref' in value ? value.ref : undefined;
  return typeof ref === 'string' ? ref.slice(0, LONGEST_REF) : undefined;
}

function describeIssues(error: z.ZodError): string {
  return error.issues.map(({ path, message }) => `${path.join('/') || 'the line'}: ${message}`).join('; ');
}

/** A title or name as one text: several are joined. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number') return String(value);
  if (Array.isArray(value)) return value.map(textOf).filter(Boolean).join('; ') || null;
  return null;
}

/** JSON with the members of objects sorted, so that their order makes no difference. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner)
      ? Object.fromEntries(Object.entries(inner).sort(([one], [other]) => (one < other ? -1 : 1)))
      : inner,
  );
}
