/** What goes into an archive, whichever container it becomes. */

/** The two methods that every reader of zip knows. */
export type StoreMethod = 'deflate' | 'store';

/** What a header says of an entry. */
export interface EntryFacts {
  /** Path within the archive, `/` between its parts; safe already. */
  name: string;
  /** Bytes of the content. */
  size: number;
  /** Bytes as they lie in the archive. */
  stored: number;
  /** CRC-32 of the content. */
  crc32: number;
  method: StoreMethod;
}

/** An entry in its stored form: it is copied. */
export interface StoredEntry extends EntryFacts {
  type: 'stored';
  /** Exactly `stored` bytes, raw deflate or the content itself. The archive is done with them when it asks for the next batch of entries. */
  data: Buffer | AsyncIterable<Buffer>;
}

/** Bytes of the longest content that is deflated together with others. */
export const LONGEST_SHORT = 256 * 1024;

/** An entry that is still to be deflated. */
export interface BytesEntry {
  type: 'bytes';
  name: string;
  /** The archive is done with it when it asks for the next batch, but for a content longer than `LONGEST_SHORT`: that has to stay as it is. */
  content: Buffer;
  /** True where deflate is known to make it no smaller. */
  store?: boolean;
}

export type ArchiveEntry = StoredEntry | BytesEntry;
