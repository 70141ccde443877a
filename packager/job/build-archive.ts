/** Builds the archive of one request: from a listing to a manifest in the store. */
import {
  MEDIA_TYPES,
  decodeManifest,
  encodeManifest,
  manifestKey,
  type DumpManifest,
  type PackageRequest,
} from '../../queue-config/index.js';
import type { ArchiveStore, WrittenObject } from '../archive-store/archive-store.js';
import { createBag } from '../bag/bag-entries.js';
import type { BagCounts } from '../bag/outcomes.js';
import { createBagPlanner, type BagPlan } from '../bag/plan-bag.js';
import { writeTarGz } from '../bag/write-tar-gz.js';
import { fetchDocuments } from '../source/documents.js';
import { assertStillWanted, type ListingRequest } from '../source/listing-stream.js';
import { readListing, type Listing } from '../source/listing.js';
import type { SourceClient } from '../source/source-client.js';
import { verifyArchive } from '../verify-archive.js';
import { entryDate } from '../zip/dos-time.js';
import { writeZip, type ZipContents } from '../zip/write-zip.js';
import { attemptsUpTo, type ArchiveKeys } from './archive-keys.js';
import { containerOf } from './container.js';
import type { EventReporter } from './event-reporter.js';
import { createProgressMeter } from './progress-meter.js';

export interface BuildContext {
  request: PackageRequest;
  run: number;
  /** The packager's name. */
  packager: string;
  keys: ArchiveKeys;
  store: ArchiveStore;
  client: SourceClient;
  reporter: EventReporter;
  /** Ends the work. */
  signal: AbortSignal;
  /** Told whenever bytes move, in whichever direction. */
  onBytes: () => void;
}

/** Rejects with the reason where there is to be no archive, and leaves nothing of its own then. */
export async function buildArchive(context: BuildContext): Promise<DumpManifest> {
  const { keys, store } = context;
  const earlier = await readManifest(store, keys.manifest);
  // An earlier run got as far as the manifest, and only its `Complete` was lost.
  if (earlier !== undefined) return earlier;
  const abandoned = await sweep(store, keys);

  const manifest = await buildAnew(context);
  // Whatever becomes of these, the dump is complete; what is left of them goes with it.
  await Promise.allSettled(abandoned.map((key) => store.delete(key)));
  return manifest;
}

async function buildAnew(context: BuildContext): Promise<DumpManifest> {
  const { keys, store, reporter } = context;
  reporter.startPhase('listing');
  const listingRequest = listingRequestOf(context.request);
  const planned = await planListing(context, listingRequest);
  try {
    const stored = await packAndStore(context, planned);
    await assertStillWanted(context.client, listingRequest);
    reporter.endPhases();
    return await publishManifest(context, manifestOf(context, stored));
  } catch (error) {
    await store.delete(keys.archive);
    throw error;
  }
}

interface PlannedListing {
  listing: Listing;
  plan: BagPlan;
}

/** One reading of the listing, from which the bag is planned too. */
async function planListing({ client, request }: BuildContext, listingRequest: ListingRequest): Promise<PlannedListing> {
  const planner = createBagPlanner({ docset: request.docset, formats: request.formats, url: listingRequest.url });
  const listing = await readListing(client, listingRequest, {
    onMember: (member) => planner.add(member),
    onWithdrawn: (document) => planner.addWithdrawn(document),
  });
  return { listing, plan: await planner.finish(listing.docset) };
}

function listingRequestOf({ url, formats, dump }: PackageRequest): ListingRequest {
  return { url: new URL(url), formats, namesDump: dump !== undefined };
}

interface StoredBag {
  counts: BagCounts;
  written: WrittenObject;
}

async function packAndStore(context: BuildContext, { listing, plan }: PlannedListing): Promise<StoredBag> {
  const { request, store, client, keys, reporter, signal, onBytes } = context;
  const { docset, formats } = request;
  const url = new URL(request.url);
  const container = containerOf(request);
  // A zip is copied entry by entry, and a store is done with each piece before the next; archiver keeps what it is given.
  const isReused = container === 'zip';
  const length = container === 'zip' && plan.length?.isExact === true ? plan.length.bytes : undefined;
  const meter = createProgressMeter(listing, formats, length, (progress) => reporter.progress(progress));
  reporter.startPhase('packaging');
  const bag = createBag({
    docset,
    formats,
    url,
    listing,
    plan,
    documents: fetchDocuments(client, listing, { formats, base: url, isReused }),
    onDocument: meter.onDocument,
    onEnd: () => reporter.startPhase('uploading'),
  });
  const date = entryDate(new Date(listing.docset.created ?? ''));
  let contents: ZipContents | undefined;
  const bytes =
    container === 'zip'
      ? (nextMemory: () => Buffer) =>
          writeZip(bag.entries, { date, nextMemory, onFinished: (finished) => (contents = finished) })
      : writeTarGz(bag.entries, { date });
  const written = await store.write(keys.archive, bytes, {
    mediaType: MEDIA_TYPES[container],
    size: container === 'zip' ? plan.length?.bytes : undefined,
    signal,
    onBytes(moved) {
      onBytes();
      meter.onWritten(moved);
    },
  });
  reporter.startPhase('verifying');
  meter.startVerifying(written.size);
  await verifyArchive(store, keys.archive, written, contents, {
    signal,
    onBytes(read) {
      onBytes();
      meter.onVerified(read);
    },
  });
  return { counts: bag.counts, written };
}

/**
 * Clears away what packagers that died left unfinished.
 * @returns keys of archives that they finished without a manifest: once there is another one, nobody will name them any more
 */
async function sweep(store: ArchiveStore, keys: ArchiveKeys): Promise<string[]> {
  const [unfinished, finished] = await Promise.all([store.listUnfinished(keys.dump), keysBelow(store, keys.dump)]);
  for (const prefix of attemptsUpTo(keys, unfinished)) await store.sweepUnfinished(prefix);
  const nameless = attemptsUpTo(keys, finished).filter((prefix) => !finished.includes(manifestKey(prefix)));
  return finished.filter((key) => nameless.some((prefix) => key.startsWith(prefix)));
}

async function keysBelow(store: ArchiveStore, prefix: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
}

/**
 * The first writer wins; where that was somebody else, our archive goes and theirs is reported. Where the store wrote ours and its
 * answer was lost, it refuses the next try as it would somebody else's, so that who has won is read from the manifest.
 */
async function publishManifest({ store, keys, signal }: BuildContext, manifest: DumpManifest): Promise<DumpManifest> {
  const content = Buffer.from(encodeManifest(manifest));
  const isOurs = (found: DumpManifest | undefined): boolean => found?.archive.key === keys.archive;
  for (;;) {
    signal.throwIfAborted();
    try {
      if (await store.putIfAbsent(keys.manifest, content, 'application/json')) return manifest;
    } catch (error) {
      if (isOurs(await readManifest(store, keys.manifest))) return manifest;
      throw error;
    }
    const winner = await readManifest(store, keys.manifest);
    if (winner === undefined) continue;
    if (!isOurs(winner)) await store.delete(keys.archive);
    return winner;
  }
}

/** A manifest whose archive is gone is worth nothing: it is deleted. */
async function readManifest(store: ArchiveStore, key: string): Promise<DumpManifest | undefined> {
  const content = await store.get(key);
  if (content === undefined) return undefined;
  const manifest = decodeManifest(content.toString());
  if ((await store.sizeOf(manifest.archive.key)) === manifest.archive.size) return manifest;
  await store.delete(key);
  return undefined;
}

function manifestOf(
  { request, run, packager, keys, reporter }: BuildContext,
  { counts, written }: StoredBag,
): DumpManifest {
  return {
    version: 1,
    dump: request.dump ?? keys.id,
    attempt: request.attempt,
    run,
    docset: request.docset,
    formats: request.formats,
    archive: { key: keys.archive, size: written.size, sha256: written.sha256 },
    counts: counts.documents,
    files: counts.files,
    timeline: reporter.timeline.map(({ phase, started, ended }) => ({
      phase,
      started: started.toISOString(),
      ...(ended === undefined ? {} : { ended: ended.toISOString() }),
    })),
    completed: new Date().toISOString(),
    packager,
  };
}
