/** The content store port: what the api-server needs of the place where segments are kept. */

/** First byte, and the byte behind the last. */
export interface ByteSpan {
  start: number;
  end: number;
}

export interface StoredObject {
  key: string;
  size: number;
  modified: Date;
}

/**
 * Immutable objects by key. A key is `/`-separated parts of `[A-Za-z0-9._-]`, none starting with a dot; a prefix is a
 * key that ends in `/`. An object appears whole or not at all. Every method throws {@link ContentUnavailableError} where the
 * store cannot be used.
 */
export interface ContentStore {
  /** Where the objects lie, for packagers that may copy them inside of their store; undefined where it is no S3 bucket. */
  readonly bucket: string | undefined;
  /**
   * Writes an object; resolves when a power cut would not undo it. In a failure nothing of it remains.
   * @param pieces what the object is, one after the other
   */
  write(key: string, pieces: readonly Buffer[]): Promise<void>;
  /**
   * Streams a span of an object, at the speed of the reader.
   * @throws {ContentMissingError} there is no such object, or it ends before the span does
   */
  read(key: string, span: ByteSpan): AsyncIterable<Buffer>;
  /**
   * A URL under which anyone may GET the object, or any range of it, for `lifetime` seconds; undefined where we have to
   * serve it ourselves.
   */
  sign(key: string, lifetime: number): Promise<string | undefined>;
  /** Objects under a prefix, in the order of their keys. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Deletes an object; nothing happens where there is none. */
  delete(key: string): Promise<void>;
  /**
   * Clears away what writes under a prefix left that were cut off by the end of their process.
   * @returns how many there were
   */
  sweepUnfinished(prefix: string, before: Date): Promise<number>;
  close(): Promise<void>;
}

/** The store cannot be reached, or refuses; the cause says more. */
export class ContentUnavailableError extends Error {
  override readonly name = 'ContentUnavailableError';
}

/** These bytes are not in the store. */
export class ContentMissingError extends Error {
  override readonly name = 'ContentMissingError';
  constructor(key: string, options?: ErrorOptions) {
    super(`bytes are missing: ${key} is not there, or not all of it`, options);
  }
}

const PART = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** @throws {RangeError} for a key that could leave the store or that some store would read otherwise */
export function checkKey(key: string): string {
  if (!key.split('/').every((part) => PART.test(part))) {
    throw new RangeError(`not a key of the content store: ${JSON.stringify(key)}`);
  }
  return key;
}

/** @throws {RangeError} for a prefix that does not end in `/` or is no key before it */
export function checkPrefix(prefix: string): string {
  if (!prefix.endsWith('/')) throw new RangeError(`not a prefix of the content store: ${JSON.stringify(prefix)}`);
  checkKey(prefix.slice(0, -1));
  return prefix;
}
