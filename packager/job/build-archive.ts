/** Builds the archive of one request: from a listing to a manifest in the store. */
import { decodeManifest, encodeManifest, type DumpManifest, type PackageRequest } from '../../queue-config/index.js';
import type { ArchiveStore, WrittenObject } from '../archive-store/archive-store.js';
import { writeBag, type WrittenBag } from '../bag/write-bag.js';
import { createZipWriter, entryDate } from '../bag/zip-writer.js';
import { fetchDocuments } from '../source/documents.js';
import { assertStillWanted, type ListingRequest } from '../source/listing-stream.js';
import { readListing, type Listing } from '../source/listing.js';
import type { SourceClient } from '../source/source-client.js';
import { verifyArchive } from '../verify-archive.js';
import { finishedAttempts, type ArchiveKeys } from './archive-keys.js';
import type { EventReporter } from './event-reporter.js';
import { createProgressMeter } from './progress-meter.js';

export interface BuildContext {
  request: PackageRequest;
  run: number;
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
  const { keys, store, reporter } = context;
  const earlier = await readManifest(store, keys.manifest);
  // An earlier run got as far as the manifest, and only its `Complete` was lost.
  if (earlier !== undefined) return earlier;
  await sweep(store, keys);

  reporter.startPhase('listing');
  const listingRequest = listingRequestOf(context.request);
  const listing = await readListing(context.client, listingRequest);
  try {
    const { bag, written } = await packAndStore(context, listing);
    await assertStillWanted(context.client, listingRequest);
    reporter.endPhases();
    return await publishManifest(context, manifestOf(context, bag, written));
  } catch (error) {
    await store.delete(keys.archive);
    throw error;
  }
}

function listingRequestOf({ url, formats, dump }: PackageRequest): ListingRequest {
  return { url: new URL(url), formats, namesDump: dump !== undefined };
}

async function packAndStore(
  context: BuildContext,
  listing: Listing,
): Promise<{ bag: WrittenBag; written: WrittenObject }> {
  const { request, store, client, keys, reporter, signal, onBytes } = context;
  const { formats } = request;
  const url = new URL(request.url);
  const meter = createProgressMeter(listing, formats, (progress) => reporter.progress(progress));
  const zip = createZipWriter(entryDate(new Date(listing.docset.created ?? '')));
  const abort = (): void => zip.fail(signal.reason);
  signal.addEventListener('abort', abort);
  try {
    signal.throwIfAborted();
    reporter.startPhase('packaging');
    const writing = store.write(keys.archive, zip.bytes, { mediaType: 'application/zip', signal, onBytes });
    // Where the store fails, nobody reads the zip any more: it has to fail too, or the bag would wait for ever.
    writing.catch((error: unknown) => zip.fail(error));
    const documents = fetchDocuments(client, listing, { formats, base: url });
    const packing = writeBag(zip, {
      docset: request.docset,
      listing,
      documents,
      formats,
      url,
      onDocument: meter.onDocument,
    });
    packing.then(
      () => reporter.startPhase('uploading'),
      (error: unknown) => zip.fail(error),
    );
    const [bag, written] = await bothOrFirstError(packing, writing);
    reporter.startPhase('verifying');
    meter.startVerifying(written.size);
    await verifyArchive(
      store,
      keys.archive,
      { written, contents: bag.contents },
      {
        signal,
        onBytes(bytes) {
          onBytes();
          meter.onVerified(bytes);
        },
      },
    );
    return { bag, written };
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** Waits for both in every case, so that nothing goes on behind the caller's back; the first error is kept. */
async function bothOrFirstError<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  try {
    return await Promise.all([a, b]);
  } catch (error) {
    await Promise.allSettled([a, b]);
    throw error;
  }
}

/** Clears away what packagers that died left unfinished. */
async function sweep(store: ArchiveStore, keys: ArchiveKeys): Promise<void> {
  const unfinished = await store.listUnfinished(keys.dump);
  for (const prefix of finishedAttempts(keys, unfinished)) await store.sweepUnfinished(prefix);
}

/** The first writer wins; where that was somebody else, our archive goes and theirs is reported. */
async function publishManifest({ store, keys, signal }: BuildContext, manifest: DumpManifest): Promise<DumpManifest> {
  for (;;) {
    signal.throwIfAborted();
    if (await store.putIfAbsent(keys.manifest, Buffer.from(encodeManifest(manifest)), 'application/json'))
      return manifest;
    const winner = await readManifest(store, keys.manifest);
    if (winner === undefined) continue;
    await store.delete(keys.archive);
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
  { request, run, keys, reporter }: BuildContext,
  { counts }: WrittenBag,
  written: WrittenObject,
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
  };
}
