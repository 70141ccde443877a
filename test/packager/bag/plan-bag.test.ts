/** What is known of a bag before its payload was read, against what becomes of it. */
import { createHash, randomBytes } from 'node:crypto';
import { crc32, deflateRawSync, inflateRawSync } from 'node:zlib';
import { describe, expect, test } from '@jest/globals';
import { createBag } from '../../../packager/bag/bag-entries.js';
import { deflatedText } from '../../../packager/bag/deflate-text.js';
import type { BagCounts } from '../../../packager/bag/outcomes.js';
import { createBagPlanner, type BagPlan } from '../../../packager/bag/plan-bag.js';
import { lineFiles, linesOf, type DocumentOutcome } from '../../../packager/bag/tag-files.js';
import { createTagFileWriter, type TagFile } from '../../../packager/bag/write-tag-files.js';
import type { FetchedDocument } from '../../../packager/source/documents.js';
import type { FetchedFile } from '../../../packager/source/fetch-file.js';
import type { Listing } from '../../../packager/source/listing.js';
import type { Member, MemberFile } from '../../../packager/source/members.js';
import { readBag, textOf } from '../read-bag.js';
import { eachOf, makeZip, oneByOne } from '../zip/entries.js';

const URL_OF_DOCSET = new URL('http://server/api/docsets/5?fmt=txt,pdf');
const FORMATS = ['txt', 'pdf'];
const SEGMENT = {
  id: '1',
  href: 'http://server/api/segments/1',
  size: 1 << 26,
  key: 'segments/a/1',
  bucket: undefined,
};

interface Planned {
  listing: Listing;
  documents: FetchedDocument[];
}

type Kind = 'stored' | 'fetched' | 'unknown';

/** So many documents with a text, and every third with a PDF that deflate makes no smaller. */
function docset(count: number, kindOf: (index: number) => Kind = () => 'stored'): Planned {
  const members: Member[] = [];
  const documents: FetchedDocument[] = [];
  for (let index = 0; index < count; index++) {
    const kind = kindOf(index);
    const txt = fileOf(Buffer.from(`${index} the state of the union `.repeat(index % 50)), 'deflate', kind);
    const pdf = index % 3 === 0 ? fileOf(randomBytes(index * 7), 'store', kind) : undefined;
    const files = { txt: txt.listed, ...(pdf === undefined ? {} : { pdf: pdf.listed }) };
    const member: Member = { ref: `ref/${String(index).padStart(6, '0')}`, title: `Title, ${index}`, files };
    members.push(member);
    documents.push({ member, files: [txt.fetched, pdf?.fetched ?? { type: 'omitted', reason: 'missing' }] });
  }
  return { listing: listingOf(members), documents };
}

function listingOf(members: Member[]): Listing {
  return {
    docset: {
      id: '5',
      name: undefined,
      description: undefined,
      collection: 'c',
      source: 's',
      licence: 'CC0-1.0',
    } as never,
    size: members.length,
    bytes: 0,
    storedBytes: 0,
    isStored: true,
    members: () => oneByOne(members),
    withdrawn: () => oneByOne([]),
  };
}

function fileOf(
  content: Buffer,
  method: 'deflate' | 'store',
  kind: Kind,
): { listed: MemberFile; fetched: FetchedFile } {
  const data = method === 'deflate' ? deflateRawSync(content) : content;
  const sha256 = createHash('sha256').update(content).digest('hex');
  const facts = { size: content.length, sha256 };
  const mediaType = method === 'deflate' ? 'text/plain' : 'application/pdf';
  if (kind !== 'stored') {
    const listed = kind === 'fetched' ? { href: 'x', ...facts } : { href: 'x' };
    return { listed, fetched: { type: 'fetched', content, sha256, mediaType } };
  }
  const range = { segment: SEGMENT, offset: 0, length: data.length, method, crc32: crc32(content), sha256: '' };
  const stored = { stored: data.length, method, crc32: crc32(content) };
  return {
    listed: { href: 'x', ...facts, stored: range },
    fetched: { type: 'stored', data, ...facts, ...stored, mediaType },
  };
}

async function plan({ listing }: Planned): Promise<BagPlan> {
  const planner = createBagPlanner({ docset: '5', formats: FORMATS, url: URL_OF_DOCSET });
  for await (const member of eachOf(listing.members())) await planner.add(member);
  for await (const document of eachOf(listing.withdrawn())) await planner.addWithdrawn(document);
  return planner.finish(listing.docset);
}

async function build(planned: Planned, bagPlan: BagPlan): Promise<{ zip: Buffer; counts: BagCounts }> {
  const { listing, documents } = planned;
  const request = { docset: '5', formats: FORMATS, url: URL_OF_DOCSET, listing, plan: bagPlan };
  const bag = createBag({ ...request, documents: oneByOne(documents), onDocument: () => undefined });
  const { pieces } = await makeZip(eachOf(bag.entries));
  return { zip: Buffer.concat(pieces), counts: bag.counts };
}

describe('a bag out of segments', () => {
  test.each([1, 2, 1000, 8000])('of %i documents is as long as was planned, to the byte', async (count) => {
    const planned = docset(count);
    const bagPlan = await plan(planned);
    const { zip, counts } = await build(planned, bagPlan);
    expect(bagPlan.length).toEqual({ bytes: zip.length, isExact: true });
    expect(counts).toEqual(bagPlan.counts);
    const bag = await readBag(zip);
    expect([...bag.files.keys()].filter((path) => !path.startsWith('data/'))).toEqual([
      'bagit.txt',
      'manifest-sha256.txt',
      'catalog.csv',
      'omitted.csv',
      'bag-info.txt',
      'tagmanifest-sha256.txt',
    ]);
    expect(textOf(bag, 'catalog.csv').split('\n')).toHaveLength(count + 2);
  });

  test('that lists more withdrawn documents than can be kept is as long as was planned, too', async () => {
    const planned = docset(10);
    const since = { dump: 'd', docset: '4', withdrawn: 250_000 };
    const nothing = { creator: undefined, date: undefined, url: undefined };
    const withdrawn = Array.from({ length: since.withdrawn }, (_, index) => ({
      ref: `gone-${String(index).padStart(6, '0')}`,
      title: createHash('sha256').update(String(index)).digest('base64'),
      ...nothing,
    }));
    planned.listing = {
      ...planned.listing,
      docset: { ...planned.listing.docset, since },
      withdrawn: () => oneByOne(withdrawn),
    };
    const bagPlan = await plan(planned);
    expect(bagPlan.tagFiles?.find(({ name }) => name === 'withdrawn.csv')).toMatchObject({ pieces: undefined });
    const { zip } = await build(planned, bagPlan);
    expect(bagPlan.length).toEqual({ bytes: zip.length, isExact: true });
    const bag = await readBag(zip);
    expect(textOf(bag, 'withdrawn.csv').split('\n')).toHaveLength(since.withdrawn + 2);
  });

  test('is valid, and shorter, when a file turns out to be corrupt on the way', async () => {
    const planned = docset(500);
    const bagPlan = await plan(planned);
    const whole = await build(planned, bagPlan);
    planned.documents[7]?.files.splice(0, 1, { type: 'omitted', reason: 'corrupt' });
    const { zip, counts } = await build(planned, bagPlan);
    expect(zip.length).toBeLessThan(whole.zip.length);
    expect(counts.files.omitted).toBe(whole.counts.files.omitted + 1);
    const bag = await readBag(zip);
    expect(textOf(bag, 'omitted.csv')).toContain('ref/000007,txt,corrupt\n');
    expect(textOf(bag, 'manifest-sha256.txt')).not.toContain('ref_000007');
    expect(textOf(bag, 'bag-info.txt')).toContain(`Files-Omitted: ${counts.files.omitted}\n`);
  });
});

describe('a bag whose files are fetched', () => {
  test('is at most as long as was planned', async () => {
    const planned = docset(200, (index) => (index % 2 === 0 ? 'fetched' : 'stored'));
    const bagPlan = await plan(planned);
    const { zip } = await build(planned, bagPlan);
    expect(bagPlan.length?.isExact).toBe(false);
    expect(zip.length).toBeLessThan(bagPlan.length?.bytes ?? 0);
    await readBag(zip);
  });

  test('has no planned length where their sizes are not listed, and is valid all the same', async () => {
    const planned = docset(200, (index) => (index === 150 ? 'unknown' : 'stored'));
    const bagPlan = await plan(planned);
    expect(bagPlan).toMatchObject({ tagFiles: undefined, length: undefined });
    await readBag((await build(planned, bagPlan)).zip);
  });
});

describe('a tag file that is too long to be kept', () => {
  test('is written again, byte for byte', async () => {
    const { listing } = docset(12_000);
    async function* documents(): AsyncGenerator<DocumentOutcome[]> {
      for await (const member of eachOf(listing.members())) {
        const sha256 = createHash('sha256').update(member.ref).digest('hex');
        const path = `data/${member.ref}.txt`;
        yield [{ member, files: [{ format: 'txt', path, outcome: { type: 'packed', sha256 } }] }];
      }
    }
    const written = async (keptBytes: number) => {
      const writer = createTagFileWriter(URL_OF_DOCSET, ['txt'], { keptBytes });
      for await (const document of documents()) await writer.add(document);
      const counts = { requested: 0, packed: 0, omitted: 0 };
      return writer.finish(listing.docset, { documents: counts, files: counts, bytes: 0 });
    };
    const kept = await written(1 << 26);
    const dropped = await written(0);
    const factsOf = ({ name, size, stored, method, sha256 }: TagFile) => ({ name, size, stored, method, sha256 });
    expect(dropped.map(factsOf)).toEqual(kept.map(factsOf));
    expect(kept.every(({ pieces }) => pieces !== undefined)).toBe(true);
    expect(dropped.map(({ pieces }) => pieces !== undefined)).toEqual([true, false, false, false, true, true]);
    for (const file of lineFiles(['txt'])) {
      const again: Buffer[] = [];
      for await (const piece of deflatedText(linesOf(file, documents()))) again.push(piece);
      const first = kept.find(({ name }) => name === file.name);
      expect(Buffer.concat(again).equals(Buffer.concat(first?.pieces ?? []))).toBe(true);
      if (first?.method !== 'deflate') continue;
      const content = inflateRawSync(Buffer.concat(again));
      expect(createHash('sha256').update(content).digest('hex')).toBe(first.sha256);
      expect(crc32(content)).toBe(first.crc32);
    }
  });
});
