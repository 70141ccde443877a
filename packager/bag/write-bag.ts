/** Writes the bag of a docset into a zip: the payload first, then everything that is known only after it. */
import { createHash } from 'node:crypto';
import type { FetchedDocument } from '../source/documents.js';
import { contentOf } from '../source/file-content.js';
import type { Listing } from '../source/listing.js';
import type { Member } from '../source/members.js';
import { createOutcomes, type BagCounts } from './outcomes.js';
import { createPayloadNames, payloadPath } from './payload-names.js';
import {
  BAGIT_TXT,
  bagInfo,
  catalogCsv,
  manifestLine,
  omittedCsv,
  payloadManifest,
  type PackedBag,
} from './tag-files.js';
import type { ZipContents, ZipWriter } from './zip-writer.js';

export interface BagRequest {
  /** The docset's id, for the top folder. */
  docset: string;
  listing: Listing;
  /** In the order of the listing. */
  documents: AsyncIterable<FetchedDocument>;
  formats: readonly string[];
  /** URL of the docset. */
  url: URL;
  /** Told after each document. */
  onDocument: (member: Member, counts: BagCounts) => void;
}

export interface WrittenBag {
  counts: BagCounts;
  contents: ZipContents;
}

/** Media types that deflate would make no smaller. */
const COMPRESSED =
  /^(application\/(pdf|zip|gzip|x-7z-compressed|epub\+zip|vnd\.openxmlformats[^;]*)|image\/(jpeg|png|webp|gif|jp2)|audio\/|video\/)/;
/** Text goes to the archive in pieces of about this many characters. */
const TEXT_PIECE = 64 * 1024;

export async function writeBag(zip: ZipWriter, request: BagRequest): Promise<WrittenBag> {
  const { docset, listing, formats, url } = request;
  const top = `docset-${docset}/`;
  const bag: PackedBag = { listing, formats, outcomes: createOutcomes(), names: createPayloadNames };
  const { counts } = bag.outcomes;
  const tagDigests = new Map<string, string>();

  const addTagFile = async (name: string, text: AsyncIterable<string> | string): Promise<void> => {
    const hash = createHash('sha256');
    await zip.addStream(`${top}${name}`, encoded(text, hash.update.bind(hash)));
    tagDigests.set(name, hash.digest('hex'));
  };

  await addTagFile('bagit.txt', BAGIT_TXT);
  await writePayload(zip, top, bag, request);
  await addTagFile('manifest-sha256.txt', payloadManifest(bag));
  await addTagFile('catalog.csv', catalogCsv(bag));
  await addTagFile('omitted.csv', omittedCsv(bag));
  await addTagFile('bag-info.txt', bagInfo(listing.docset, url, formats, counts));
  const lines = [...tagDigests]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, sha256]) => manifestLine(sha256, name));
  await zip.add(`${top}tagmanifest-sha256.txt`, Buffer.from(lines.join('')));
  return { counts, contents: await zip.finish() };
}

async function writePayload(
  zip: ZipWriter,
  top: string,
  { outcomes, names, formats }: PackedBag,
  { documents, onDocument }: BagRequest,
): Promise<void> {
  const namer = names();
  for await (const { member, files } of documents) {
    const name = namer.next(member.ref);
    for (const [index, format] of formats.entries()) {
      const file = files[index] ?? { type: 'omitted', reason: 'missing' };
      if (file.type === 'omitted') {
        outcomes.omitted(file.reason);
        continue;
      }
      const { sha256, mediaType } = file;
      const content = await whole(contentOf(file));
      await zip.add(`${top}${payloadPath(name, format, formats)}`, content, { store: COMPRESSED.test(mediaType) });
      outcomes.packed(content.length, sha256, member.files[format]?.sha256 !== undefined);
    }
    outcomes.endDocument();
    onDocument(member, outcomes.counts);
  }
}

async function whole(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const held: Buffer[] = [];
  for await (const piece of pieces) held.push(piece);
  return Buffer.concat(held);
}

async function* encoded(text: AsyncIterable<string> | string, note: (piece: Buffer) => void): AsyncGenerator<Buffer> {
  let held = '';
  const flush = (): Buffer => {
    const piece = Buffer.from(held);
    held = '';
    note(piece);
    return piece;
  };
  for await (const line of typeof text === 'string' ? [text] : text) {
    held += line;
    if (held.length >= TEXT_PIECE) yield flush();
  }
  if (held !== '') yield flush();
}
