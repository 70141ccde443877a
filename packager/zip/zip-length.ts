/** How long a zip will be, from what is known of its entries before any byte of it is read. */
import type { EntryFacts } from './entry.js';
import { centralHeaderLength, endLength, localHeaderLength } from './records.js';

export interface ZipLength {
  /** The next entry, in the order in which they will be written. */
  add(entry: Pick<EntryFacts, 'name' | 'size' | 'stored'>): void;
  /** Bytes of the zip of the entries so far. */
  total(): number;
}

/** Takes the same few bytes however many entries there are. */
export function createZipLength(): ZipLength {
  let offset = 0;
  let directory = 0;
  let entries = 0;
  return {
    add({ name, size, stored }) {
      const facts = { size, stored, crc32: 0, method: 'deflate' } as const;
      const nameBytes = Buffer.byteLength(name);
      directory += centralHeaderLength(nameBytes, facts, offset);
      offset += localHeaderLength(nameBytes, facts) + stored;
      entries += 1;
    },
    total: () => offset + directory + endLength({ entries, offset, length: directory }),
  };
}
