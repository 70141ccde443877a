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
  /** The store has taken so many bytes more. */
  onWritten(bytes: number): void;
  startVerifying(size: number): void;
  onVerified(bytes: number): void;
}

/** @param length bytes that will be written, where that is known */
export function createProgressMeter(
  listing: Listing,
  formats: readonly string[],
  length: number | undefined,
  onProgress: (progress: JobProgress) => void,
): ProgressMeter {
  const started = performance.now();
  let listedBytes = 0;
  let packed: BagCounts | undefined;
  let written = 0;
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
  const notifyPackaging = (share: number): void => notify(PACKAGING_SHARE * Math.min(share, 1));

  return {
    onDocument(member, counts) {
      packed = counts;
      if (length !== undefined) return;
      for (const format of formats) listedBytes += member.files[format]?.size ?? 0;
      // A server that lists no sizes leaves the number of documents to go by.
      notifyPackaging(listing.bytes > 0 ? listedBytes / listing.bytes : counts.documents.requested / listing.size);
    },
    onWritten(bytes) {
      written += bytes;
      if (length !== undefined) notifyPackaging(written / length);
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
