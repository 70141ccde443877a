/** Fetches the documents of a listing, many at once, and hands them over in the listing's order. */
import { createByteBudget } from './byte-budget.js';
import { fetchFile, type FetchedFile } from './fetch-file.js';
import type { Listing } from './listing.js';
import { isStored, type Member, type MemberFile, type StoredFile } from './members.js';
import { createReadShares } from './read-shares.js';
import { JOINED_GAP, openSegmentReader, type SegmentPlan } from './segment-reader.js';
import type { SourceClient } from './source-client.js';

export interface FetchedDocument {
  member: Member;
  /** One for each wanted format, in the order of the request. */
  files: FetchedFile[];
}

/** Documents that are fetched together, so that reads of neighbours can be joined. */
interface Batch {
  members: Member[];
  /** Those of their files that lie in segments, document by document, in the order of the formats. */
  stored: StoredFile[];
  /** Bytes of the other files, as far as is known. */
  fetchedBytes: number;
}

/** Batches fetched, or on their way, ahead of the one that is being written; the memory mostly allows fewer. */
const BATCHES_AHEAD = 16;
/** A batch takes so much of the memory, if it is that long. */
const BATCH_SHARE = 1 / 4;
/** However short they are, a batch has no more documents: the objects that describe them are gone before they grow old. */
const BATCH_DOCUMENTS = 512;
/** What a file takes besides its bytes, in objects that describe it. */
const FILE_COST = 1024;
/** Documents of a batch that have files to be fetched one by one: nothing of them can be joined. */
const BATCH_FETCHED = 4;
const FETCHES_AT_ONCE = 32;
/** Where the server does not say how long a file is. */
const ASSUMED_SIZE = 512 * 1024;

export interface FetchOptions {
  formats: readonly string[];
  base: URL;
  /**
   * True where whoever reads is done with the bytes of a batch before asking for the next one, and with each piece of a
   * large file before asking for the next: their memory is then used again. Otherwise they stay as they are, and the garbage collector frees them late.
   */
  isReused?: boolean;
}

/** Documents in batches; the room of a batch is given up when the next one is asked for. */
export async function* fetchDocuments(
  client: SourceClient,
  listing: Listing,
  { formats, base, isReused = false }: FetchOptions,
): AsyncGenerator<readonly FetchedDocument[]> {
  const share = (client.resources.readShares ?? createReadShares()).join();
  const slots = createByteBudget(FETCHES_AT_ONCE);
  const segments = openSegmentReader(client, base, isReused);
  const batchBytes = (): number => share.bytes() * BATCH_SHARE;

  const fetchOne = async (file: MemberFile | undefined): Promise<FetchedFile> => {
    await slots.take(1);
    try {
      return await fetchFile(client, file, base);
    } finally {
      slots.give(1);
    }
  };

  const fetchBatch = async ({ members }: Batch, plan: SegmentPlan): Promise<FetchedDocument[]> => {
    const documents = members.map((member) => ({ member, files: new Array<FetchedFile>(formats.length) }));
    const readings = plan.read();
    const fetches: Promise<void>[] = [];
    for (const { member, files } of documents) {
      for (const [index, format] of formats.entries()) {
        const file = member.files[format];
        if (isStored(file)) continue;
        fetches.push(fetchOne(file).then((fetched) => void (files[index] = fetched)));
      }
    }
    const [stored] = await Promise.all([readings, ...fetches]);
    let next = 0;
    for (const { files } of documents) {
      for (const index of formats.keys()) files[index] ??= stored[next++] as FetchedFile;
    }
    return documents;
  };

  const batches = cutIntoBatches(listing.members(), formats, batchBytes);
  const ahead: { reading: Promise<FetchedDocument[]>; plan: SegmentPlan; cost: number }[] = [];
  let held = 0;
  /** False at the end of the listing. */
  const startNext = async (): Promise<boolean> => {
    const next = await batches.next();
    if (next.done === true) return false;
    const plan = segments.plan(next.value.stored, 2 * batchBytes());
    const files = next.value.members.length + next.value.stored.length;
    const cost = plan.cost + next.value.fetchedBytes + files * FILE_COST;
    held += cost;
    const reading = fetchBatch(next.value, plan);
    // Whoever stops before this batch waits for it no more.
    reading.catch(() => undefined);
    ahead.push({ reading, plan, cost });
    return true;
  };
  const hasRoom = (): boolean => ahead.length < BATCHES_AHEAD && held + batchBytes() <= share.bytes();

  try {
    for (let isMore = true; ;) {
      // One at least: a batch that is larger than all the room goes alone.
      while (isMore && (ahead.length === 0 || hasRoom())) isMore = await startNext();
      const first = ahead.shift();
      if (first === undefined) return;
      yield await first.reading;
      first.plan.give();
      held -= first.cost;
    }
  } finally {
    share.leave();
    await segments.close();
  }
}

async function* cutIntoBatches(
  members: AsyncIterable<readonly Member[]>,
  formats: readonly string[],
  batchBytes: () => number,
): AsyncGenerator<Batch> {
  let batch: Batch = { members: [], stored: [], fetchedBytes: 0 };
  let bytes = 0;
  let fetched = 0;
  for await (const some of members) {
    for (const member of some) {
      const fetchedBefore = batch.fetchedBytes;
      for (const format of formats) {
        const file = member.files[format];
        if (isStored(file)) {
          bytes += FILE_COST + costAfter(batch.stored.at(-1), file);
          batch.stored.push(file);
        } else if (file !== undefined) {
          batch.fetchedBytes += file.size ?? ASSUMED_SIZE;
        }
      }
      batch.members.push(member);
      // One that has no files takes its room as well.
      bytes += FILE_COST;
      if (batch.fetchedBytes > fetchedBefore) fetched += 1;
      const isFull = batch.members.length >= BATCH_DOCUMENTS || bytes + batch.fetchedBytes >= batchBytes();
      if (fetched < BATCH_FETCHED && !isFull) continue;
      yield batch;
      batch = { members: [], stored: [], fetchedBytes: 0 };
      bytes = 0;
      fetched = 0;
    }
  }
  if (batch.members.length > 0) yield batch;
}

/** What reading a file holds, with the gap to the one before where that is read along. */
function costAfter(previous: StoredFile | undefined, { stored }: StoredFile): number {
  if (previous?.stored.segment.id !== stored.segment.id) return stored.length;
  const gap = stored.offset - previous.stored.offset - previous.stored.length;
  return stored.length + (gap > 0 && gap <= JOINED_GAP ? gap : 0);
}
