/** What a listing says, checked as it comes in (docs/packager-http.md). */
import { z } from 'zod';

const optionalText = z
  .string()
  .nullish()
  .transform((value) => value ?? undefined);

const count = z.number().int().nonnegative();

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
  }),
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
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional(),
    }),
  ),
});

const endLine = z.object({ end: z.literal(true), members: count });

export type Docset = Omit<z.infer<typeof docsetLine>['docset'], 'members'>;

/** Where the bytes of a document are in one format. */
export interface MemberFile {
  href: string;
  /** Media type to ask for; undefined: whatever there is. */
  accept?: string | undefined;
  media_type?: string | undefined;
  /** Bytes; undefined where the server does not say. */
  size?: number | undefined;
  sha256?: string | undefined;
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

/** The listing broke off or makes no sense; worth a few more tries. */
export class ListingBrokenError extends Error {
  override readonly name = 'ListingBrokenError';
}

/** @throws {ListingBrokenError} */
export function parseDocsetLine(line: string): { docset: Docset; size: number } {
  const { members: size, ...docset } = checked(docsetLine, parseJson(line), 'its first line is no docset').docset;
  return { docset, size };
}

/** A member, or the last line. @throws {ListingBrokenError} */
export function parseMemberLine(line: string): { type: 'member'; member: Member } | { type: 'end'; size: number } {
  const value = parseJson(line);
  const end = endLine.safeParse(value);
  if (end.success) return { type: 'end', size: end.data.members };
  return { type: 'member', member: checked(memberLine, value, 'a member is malformed') };
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
