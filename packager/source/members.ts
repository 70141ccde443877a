/** What a listing says, checked as it comes in (docs/packager-http.md). */
import { z } from 'zod';

const optionalText = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined);

const count = z.number().int().nonnegative();
const DIGEST = /^[0-9a-f]{64}$/;
const CRC32 = /^[0-9a-f]{8}$/;

const docsetLine = z.object({
  docset: z.object({
    id: z.union([z.string(), z.number()]).transform(String),
    name: optionalText,
    description: optionalText,
    query: z.unknown().optional(),
    collection: optionalText,
    source: optionalText,
    licence: optionalText,
    created: optionalText,
    members: count,
    since: z
      .object({ dump: z.string(), docset: z.union([z.string(), z.number()]).transform(String), withdrawn: count })
      .nullish()
      .transform((value) => value ?? undefined),
  }),
});

const segmentLine = z.object({
  segment: z.object({
    id: z.union([z.string(), z.number()]).transform(String),
    href: z.string().min(1),
    size: count,
    key: z.string().min(1),
    bucket: optionalText,
  }),
});

const storedRange = z.object({
  segment: z.string(),
  offset: count,
  length: count,
  method: z.string(),
  crc32: z.string().regex(CRC32),
  sha256: z.string().regex(DIGEST),
});

const memberLine = z.object({
  ref: z.string().min(1),
  title: optionalText,
  creator: optionalText,
  date: optionalText,
  url: optionalText,
  files: z.record(
    z.string(),
    z.object({
      href: z.string().min(1),
      media_type: optionalText,
      size: count.optional(),
      sha256: z.string().regex(DIGEST).optional(),
      stored: storedRange.nullish().transform((value) => value ?? undefined),
    }),
  ),
});

const withdrawnLine = z.object({
  withdrawn: z.object({
    ref: z.string().min(1),
    title: optionalText,
    creator: optionalText,
    date: optionalText,
    url: optionalText,
  }),
});

const endLine = z.object({ end: z.literal(true), members: count, withdrawn: count.default(0) });

/** `since` is there where the listing is relative to the docset of an earlier dump. */
export type Docset = Omit<z.infer<typeof docsetLine>['docset'], 'members'>;

/** A document that an earlier docset had, and this one has not. */
export type Withdrawn = z.infer<typeof withdrawnLine>['withdrawn'];

/** An immutable object of the content store, in which the stored bytes of many files lie side by side. */
export type Segment = z.infer<typeof segmentLine>['segment'];

/** How the bytes in a segment came of the file's content: raw deflate, or as they are. */
export type StorageMethod = 'deflate' | 'store';

/** Where a file lies in a segment. */
export interface StoredRange {
  segment: Segment;
  offset: number;
  /** Bytes in the segment. */
  length: number;
  method: StorageMethod;
  /** Of the content. */
  crc32: number;
  /** Of the bytes in the segment. */
  sha256: string;
}

/** Where the bytes of a document are in one format. */
export interface MemberFile {
  href: string;
  /** Media type to ask for; undefined: whatever there is. */
  accept?: string | undefined;
  media_type?: string | undefined;
  /** Bytes; undefined where the server does not say. */
  size?: number | undefined;
  sha256?: string | undefined;
  /** Undefined where the file is to be had at its `href` only. */
  stored?: StoredRange | undefined;
}

/** A file in a segment: what there is to know of it is known. */
export interface StoredFile extends MemberFile {
  size: number;
  sha256: string;
  stored: StoredRange;
}

export interface Member {
  ref: string;
  title?: string | undefined;
  creator?: string | undefined;
  date?: string | undefined;
  url?: string | undefined;
  /** By format; a format that the member lacks is missing. */
  files: Readonly<Partial<Record<string, MemberFile>>>;
}

/** A line after the first. */
export type ListingLine =
  | { type: 'member'; member: Member }
  | { type: 'segment'; segment: Segment }
  | { type: 'withdrawn'; document: Withdrawn }
  | { type: 'end'; size: number; withdrawn: number };

/** The listing broke off or makes no sense; worth a few more tries. */
export class ListingBrokenError extends Error {
  override readonly name = 'ListingBrokenError';
}

export function isStored(file: MemberFile | undefined): file is StoredFile {
  return file?.stored !== undefined;
}

/** @throws {ListingBrokenError} */
export function parseDocsetLine(line: string): { docset: Docset; size: number } {
  const { members: size, ...docset } = checked(docsetLine, parseJson(line), 'its first line is no docset').docset;
  return { docset, size };
}

/**
 * A member, a segment that later members lie in, what was withdrawn, or the last line.
 * @param segments those announced so far, by id
 * @throws {ListingBrokenError}
 */
export function parseLine(line: string, segments: ReadonlyMap<string, Segment>): ListingLine {
  const value = parseJson(line);
  if (isPlainMember(value)) return { type: 'member', member: located(value, segments) };
  const end = endLine.safeParse(value);
  if (end.success) return { type: 'end', size: end.data.members, withdrawn: end.data.withdrawn };
  if (typeof value === 'object' && value !== null && 'segment' in value) {
    return { type: 'segment', segment: checked(segmentLine, value, 'a segment is malformed').segment };
  }
  if (typeof value === 'object' && value !== null && 'withdrawn' in value) {
    return { type: 'withdrawn', document: checked(withdrawnLine, value, 'what was withdrawn is malformed').withdrawn };
  }
  return { type: 'member', member: located(checked(memberLine, value, 'a member is malformed'), segments) };
}

type ListedMember = z.input<typeof memberLine>;
type ListedFile = ListedMember['files'][string];
type ListedRange = z.input<typeof storedRange>;

/**
 * True where a value is what `memberLine` would make of it. Most lines of a listing come through here, a third faster
 * than through the schema; anything unusual is left to that, which can also say what is wrong.
 */
function isPlainMember(value: unknown): value is ListedMember {
  if (typeof value !== 'object' || value === null) return false;
  const { ref, title, creator, date, url, files } = value as Record<keyof ListedMember, unknown>;
  if (typeof ref !== 'string' || ref === '') return false;
  if (!isText(title) || !isText(creator) || !isText(date) || !isText(url)) return false;
  if (typeof files !== 'object' || files === null || Array.isArray(files)) return false;
  for (const format in files) if (!isPlainFile((files as Record<string, unknown>)[format])) return false;
  return true;
}

function isPlainFile(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { href, media_type, size, sha256, stored } = value as Record<keyof ListedFile, unknown>;
  return (
    typeof href === 'string' &&
    href !== '' &&
    isText(media_type) &&
    (size === undefined || isCount(size)) &&
    (sha256 === undefined || isDigest(sha256)) &&
    (stored === undefined || stored === null || isPlainRange(stored))
  );
}

function isPlainRange(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false;
  const { segment, offset, length, method, crc32, sha256 } = value as Record<keyof ListedRange, unknown>;
  return (
    typeof segment === 'string' &&
    isCount(offset) &&
    isCount(length) &&
    typeof method === 'string' &&
    typeof crc32 === 'string' &&
    CRC32.test(crc32) &&
    isDigest(sha256)
  );
}

/** JSON from a database often says null for what is not there. */
const isText = (value: unknown): boolean => value === undefined || value === null || typeof value === 'string';
const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isDigest = (value: unknown): boolean => typeof value === 'string' && value.length === 64 && DIGEST.test(value);

/** A member of its own, with the segments in the place of their ids. */
function located(
  { ref, title, creator, date, url, files }: ListedMember,
  segments: ReadonlyMap<string, Segment>,
): Member {
  const found: Record<string, MemberFile> = {};
  for (const format in files) {
    const { href, media_type, size, sha256, stored } = files[format] as ListedFile;
    const range = stored === undefined || stored === null ? undefined : rangeOf(size, sha256, stored, segments);
    found[format] = { href, media_type: media_type ?? undefined, size, sha256, stored: range };
  }
  const or = (text: string | null | undefined): string | undefined => text ?? undefined;
  return { ref, title: or(title), creator: or(creator), date: or(date), url: or(url), files: found };
}

/** Undefined where the file has to be fetched by its link: stored in a way that is not known here, or not wholly described. */
function rangeOf(
  size: number | undefined,
  sha256: string | undefined,
  { segment: id, offset, length, method, crc32, sha256: storedSha256 }: ListedRange,
  segments: ReadonlyMap<string, Segment>,
): StoredRange | undefined {
  if (size === undefined || sha256 === undefined || (method !== 'deflate' && method !== 'store')) return undefined;
  const segment = segments.get(id);
  if (segment === undefined) throw new ListingBrokenError(`a file lies in segment ${id}, which was not announced`);
  if (offset + length > segment.size) throw new ListingBrokenError(`a file lies beyond the end of segment ${id}`);
  if (method === 'store' && length !== size)
    throw new ListingBrokenError('a file is stored in another length than its own');
  return { segment, offset, length, method, crc32: Number.parseInt(crc32, 16), sha256: storedSha256 };
}

function checked<T>(schema: z.ZodType<T>, value: unknown, fault: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new ListingBrokenError(`${fault}: ${z.prettifyError(result.error)}`);
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch (cause) {
    throw new ListingBrokenError('a line is not JSON', { cause });
  }
}
