/** What became of each file, one byte each, so that a million documents fit: the listing is read again for the rest. */
import { createByteLog } from './byte-log.js';
import { OMISSIONS, type Omission } from '../source/fetch-file.js';
import type { Member } from '../source/members.js';

export interface BagCounts {
  /** In documents: one that lacks any of its files counts as omitted. */
  documents: { requested: number; packed: number; omitted: number };
  /** In files, a document times a format. */
  files: { requested: number; packed: number; omitted: number };
  /** Bytes of the packed files. */
  bytes: number;
}

export interface Outcomes {
  readonly counts: BagCounts;
  packed(size: number, sha256: string, isListed: boolean): void;
  omitted(reason: Omission): void;
  /** After the files of each document. */
  endDocument(): void;
  /** Reads all outcomes from the start, in the order in which they were noted. */
  reader(): OutcomeReader;
}

/** The digest is that of the content. */
export type FileOutcome = { type: 'packed'; sha256: string } | { type: 'omitted'; reason: Omission };

export interface OutcomeReader {
  /** The next file's. */
  next(member: Member, format: string): FileOutcome;
}

const PACKED = 0;
const DIGEST_BYTES = 32;

export function createOutcomes(): Outcomes {
  const outcomes = createByteLog();
  // Digests of files whose listing has none; the others are read from there again.
  const digests = createByteLog();
  const counts: BagCounts = {
    documents: { requested: 0, packed: 0, omitted: 0 },
    files: { requested: 0, packed: 0, omitted: 0 },
    bytes: 0,
  };
  let isWhole = true;

  return {
    counts,
    packed(size, sha256, isListed) {
      outcomes.push(PACKED);
      if (!isListed) for (const byte of Buffer.from(sha256, 'hex')) digests.push(byte);
      counts.files.requested += 1;
      counts.files.packed += 1;
      counts.bytes += size;
    },
    omitted(reason) {
      outcomes.push(OMISSIONS.indexOf(reason) + 1);
      counts.files.requested += 1;
      counts.files.omitted += 1;
      isWhole = false;
    },
    endDocument() {
      counts.documents.requested += 1;
      counts.documents[isWhole ? 'packed' : 'omitted'] += 1;
      isWhole = true;
    },
    reader() {
      let position = 0;
      let digestPosition = 0;
      return {
        next(member, format) {
          const reason = OMISSIONS[outcomes.at(position++) - 1];
          if (reason !== undefined) return { type: 'omitted', reason };
          const listed = member.files[format]?.sha256;
          if (listed !== undefined) return { type: 'packed', sha256: listed };
          const sha256 = digests.slice(digestPosition, digestPosition + DIGEST_BYTES).toString('hex');
          digestPosition += DIGEST_BYTES;
          return { type: 'packed', sha256 };
        },
      };
    },
  };
}
