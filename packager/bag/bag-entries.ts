/** The bag of a docset, entry by entry as an archive asks for them: the payload first, then all that is known only after it. */
import { isDeepStrictEqual } from 'node:util';
import type { FetchedDocument } from '../source/documents.js';
import type { FetchedFile } from '../source/fetch-file.js';
import type { Listing } from '../source/listing.js';
import type { Member, Withdrawn } from '../source/members.js';
import type { ArchiveEntry, StoredEntry } from '../zip/entry.js';
import { deflatedText } from './deflate-text.js';
import { createOutcomes, type BagCounts, type Outcomes } from './outcomes.js';
import { EMPTY_FOLDER, PAYLOAD_FOLDER, payloadPath, topFolder } from './payload-names.js';
import type { BagPlan, PlanRequest } from './plan-bag.js';
import type { SafeNames } from './safe-names.js';
import { DOCUMENTS_AT_ONCE, WITHDRAWN, lineFiles, linesOf, type DocumentOutcome } from './tag-files.js';
import { createTagFileWriter, type TagFile } from './write-tag-files.js';

export interface BagRequest extends PlanRequest {
  listing: Listing;
  plan: BagPlan;
  /** In the order of the listing, in batches. */
  documents: AsyncIterable<readonly FetchedDocument[]>;
  /** Told after each document. */
  onDocument: (member: Member, counts: BagCounts) => void;
  /** Told when the last entry was taken. */
  onEnd?: () => void;
}

export interface Bag {
  /** In batches, to be read once. */
  entries: AsyncIterable<readonly ArchiveEntry[]>;
  /** Whole when all entries were read. */
  counts: BagCounts;
}

/** Media types that deflate would make no smaller. */
const COMPRESSED =
  /^(application\/(pdf|zip|gzip|x-7z-compressed|epub\+zip|vnd\.openxmlformats[^;]*)|image\/(jpeg|png|webp|gif|jp2)|audio\/|video\/)/;

export function createBag(request: BagRequest): Bag {
  const outcomes = createOutcomes();
  return { counts: outcomes.counts, entries: bagEntries(request, outcomes) };
}

async function* bagEntries(request: BagRequest, outcomes: Outcomes): AsyncGenerator<readonly ArchiveEntry[]> {
  const { docset, documents, plan } = request;
  const top = topFolder(docset);
  const names = plan.names();
  for await (const batch of documents) yield payloadEntries(batch, request, { names, outcomes, top });
  if (outcomes.counts.files.packed === 0) {
    yield [{ type: 'stored', name: `${top}${PAYLOAD_FOLDER}`, ...EMPTY_FOLDER, data: Buffer.alloc(0) }];
  }
  const isAsPlanned = isDeepStrictEqual(outcomes.counts, plan.counts);
  const tagFiles = (isAsPlanned ? plan.tagFiles : undefined) ?? (await writeTagFiles(request, outcomes));
  yield tagFiles.map((file) => tagEntry(file, top, request, outcomes));
  request.onEnd?.();
}

/** The entries of some documents, whose outcomes are noted. */
function payloadEntries(
  documents: readonly FetchedDocument[],
  { formats, onDocument }: BagRequest,
  { names, outcomes, top }: { names: SafeNames; outcomes: Outcomes; top: string },
): ArchiveEntry[] {
  const entries: ArchiveEntry[] = [];
  for (const { member, files } of documents) {
    const name = names.next(member.ref);
    for (const [index, format] of formats.entries()) {
      const file = files[index] ?? { type: 'omitted', reason: 'missing' };
      if (file.type === 'omitted') {
        outcomes.omitted(file.reason);
        continue;
      }
      entries.push(payloadEntry(`${top}${payloadPath(name, format, formats)}`, file));
      const size = file.type === 'stored' ? file.size : file.content.length;
      outcomes.packed(size, file.sha256, member.files[format]?.sha256 !== undefined);
    }
    outcomes.endDocument();
    onDocument(member, outcomes.counts);
  }
  return entries;
}

function payloadEntry(name: string, file: Exclude<FetchedFile, { type: 'omitted' }>): ArchiveEntry {
  if (file.type === 'fetched') {
    return { type: 'bytes', name, content: file.content, store: COMPRESSED.test(file.mediaType) };
  }
  const { data, size, stored, method, crc32 } = file;
  return { type: 'stored', name, data, size, stored, method, crc32 };
}

async function writeTagFiles(request: BagRequest, outcomes: Outcomes): Promise<TagFile[]> {
  const { listing, url, formats } = request;
  const writer = createTagFileWriter(url, formats);
  for await (const documents of documentOutcomes(request, outcomes)) await writer.add(documents);
  if (listing.docset.since !== undefined) {
    for await (const documents of listing.withdrawn()) {
      for (const document of documents) {
        const wait = writer.addWithdrawn(document);
        if (wait !== undefined) await wait;
      }
    }
  }
  return writer.finish(listing.docset, outcomes.counts);
}

function tagEntry(file: TagFile, top: string, request: BagRequest, outcomes: Outcomes): StoredEntry {
  const { name, size, stored, method, crc32, pieces } = file;
  const data = pieces === undefined ? writtenAgain(name, request, outcomes) : inPieces(pieces);
  return { type: 'stored', name: `${top}${name}`, size, stored, method, crc32, data };
}

/** A tag file that was too long to be kept, made once more from the listing. */
async function* writtenAgain(name: string, request: BagRequest, outcomes: Outcomes): AsyncGenerator<Buffer> {
  if (name === WITHDRAWN.name) {
    yield* deflatedText(linesOf(WITHDRAWN, withdrawnDocuments(request)));
    return;
  }
  const file = lineFiles(request.formats).find((lined) => lined.name === name);
  if (file === undefined) throw new RangeError(`${name} cannot be written again`);
  yield* deflatedText(linesOf(file, documentOutcomes(request, outcomes)));
}

async function* withdrawnDocuments({ listing }: BagRequest): AsyncGenerator<Withdrawn[]> {
  let some: Withdrawn[] = [];
  for await (const documents of listing.withdrawn()) {
    for (const document of documents) {
      some.push(document);
      if (some.length < DOCUMENTS_AT_ONCE) continue;
      yield some;
      some = [];
    }
  }
  yield some;
}

/** The documents with what became of their files, by reading the listing once more. */
async function* documentOutcomes(
  { listing, formats, plan }: BagRequest,
  outcomes: Outcomes,
): AsyncGenerator<DocumentOutcome[]> {
  const reader = outcomes.reader();
  const names = plan.names();
  let some: DocumentOutcome[] = [];
  for await (const members of listing.members()) {
    for (const member of members) {
      const name = names.next(member.ref);
      const files = formats.map((format) => {
        const path = payloadPath(name, format, formats);
        return { format, path, outcome: reader.next(member, format) };
      });
      some.push({ member, files });
      if (some.length < DOCUMENTS_AT_ONCE) continue;
      yield some;
      some = [];
    }
  }
  yield some;
}

// eslint-disable-next-line @typescript-eslint/require-await -- a stream of what is there already
async function* inPieces(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* pieces;
}
