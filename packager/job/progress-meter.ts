/** How far a job is, and how long it will take, by the bytes that moved. */
import type { BagCounts } from '../bag/outcomes.js';
import type { Listing } from '../source/listing.js';
import type { Member } from '../source/members.js';
import type { JobProgress } from './event-reporter.js';

/** Percent of a job that its packaging takes; reading the archive back takes the rest. */
const PACKAGING_SHARE = 90;
const VERIFYING_SHARE = 9;

export interface ProgressMeter {
  onDocument: (member: Member, counts: BagCounts) => void;
  startVerifying(size: number): void;
  onVerified(bytes: number): void;
}

export function createProgressMeter(
  listing: Listing,
  formats: readonly string[],
  onProgress: (progress: JobProgress) => void,
): ProgressMeter {
  const started = performance.now();
  let listedBytes = 0;
  let packed: BagCounts | undefined;
  let archiveSize = 0;
  let verified = 0;

  const notify = (percent: number): void => {
    const elapsed = (performance.now() - started) / 1000;
    onProgress({
      percent,
      documents: { done: packed?.documents.requested ?? 0, total: listing.size },
      bytes: packed?.bytes,
      remainingSeconds: percent < 1 ? undefined : Math.ceil((elapsed * (100 - percent)) / percent),
    });
  };

  return {
    onDocument(member, counts) {
      packed = counts;
      for (const format of formats) listedBytes += member.files[format]?.size ?? 0;
      // A server that lists no sizes leaves the number of documents to go by.
      const share = listing.bytes > 0 ? listedBytes / listing.bytes : counts.documents.requested / listing.size;
      notify(PACKAGING_SHARE * Math.min(share, 1));
    },
    startVerifying(size) {
      archiveSize = size;
      notify(PACKAGING_SHARE);
    },
    onVerified(bytes) {
      verified += bytes;
      notify(PACKAGING_SHARE + VERIFYING_SHARE * Math.min(verified / archiveSize, 1));
    },
  };
}
