/** The listing of a server of another make: one JSON document that names its members and nothing of their files. */
import { z } from 'zod';
import { ListingBrokenError, type Docset, type Member, type MemberFile } from './members.js';
import type { SourceAnswer } from './source-client.js';

const bareDocset = z.object({
  id: z.union([z.string(), z.number()]).transform(String).optional(),
  name: z.string().optional(),
  created: z.string().optional(),
  members: z.array(z.object({ ref: z.string().min(1), url: z.string().optional() })),
});

/** Such a listing is held whole, so it must be short. */
const LONGEST_LISTING = 64 * 1024 * 1024;

/** Formats of the first Adit: metadata from the document itself, the content by `Accept`. */
const FORMATS: Partial<Record<string, { path: string; accept: string }>> = {
  meta: { path: '', accept: 'application/json' },
  txt: { path: '/text', accept: 'text/plain' },
  pdf: { path: '/text', accept: 'application/pdf' },
};

/** @throws {ListingBrokenError} */
export async function readBareListing(
  answer: SourceAnswer,
  url: URL,
  formats: readonly string[],
): Promise<{ docset: Docset; members: Member[] }> {
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of answer.pieces) {
    size += piece.length;
    if (size > LONGEST_LISTING) throw new ListingBrokenError('it is longer than 64 MiB and does not come line by line');
    pieces.push(piece);
  }
  const { id, name, created, members } = parse(Buffer.concat(pieces).toString());
  // `…/api/docsets/5` → `/api`
  const base = url.pathname.replace(/\/docsets\/[^/]+\/?$/, '');
  return {
    docset: {
      id: id ?? url.pathname.split('/').filter(Boolean).at(-1) ?? '',
      name,
      created,
      query: undefined,
    } as Docset,
    members: members.map(({ ref, url: path }) => {
      const document = new URL(documentPath(path ?? `/documents/${encodeURIComponent(ref)}`, base), url).href;
      return { ref, url: document, files: filesOf(document, formats) };
    }),
  };
}

function documentPath(path: string, base: string): string {
  return path.startsWith('/') && !path.startsWith(`${base}/`) ? `${base}${path}` : path;
}

function filesOf(document: string, formats: readonly string[]): Record<string, MemberFile> {
  const files: Record<string, MemberFile> = {};
  for (const format of formats) {
    const known = FORMATS[format];
    if (known) files[format] = { href: `${document}${known.path}`, accept: known.accept, media_type: known.accept };
  }
  return files;
}

function parse(text: string): z.infer<typeof bareDocset> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new ListingBrokenError('it is not JSON', { cause });
  }
  const result = bareDocset.safeParse(value);
  if (!result.success) throw new ListingBrokenError(`it names no members: ${z.prettifyError(result.error)}`);
  return result.data;
}
