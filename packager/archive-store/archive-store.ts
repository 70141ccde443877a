/** The archive store port: what a packager needs of the place where archives are kept. */
import type { Readable } from 'node:stream';

/** What was written, measured on its way out. */
export interface WrittenObject {
  size: number;
  /** SHA-256, 64 hexadecimal digits. */
  sha256: string;
  /** True where the store itself confirmed the digest of every byte. */
  confirmed?: boolean;
}

/**
 * What is to be written: bytes as they come, or a function that fills memory of the store's and yields it, full each time but
 * for the last; that saves a copy.
 */
export type ByteSource = AsyncIterable<Buffer> | ((nextMemory: () => Buffer) => AsyncIterable<Buffer>);

export interface WriteOptions {
  mediaType: string;
  /** How many bytes there will be, or at most, where that is known. */
  size?: number | undefined;
  /** Gives the write up: it rejects with the signal's reason and leaves nothing behind. */
  signal?: AbortSignal;
  /** Told about every piece that the store has taken, in bytes. */
  onBytes?: (bytes: number) => void;
}

export interface StoredObject {
  key: string;
  size: number;
}

/** First and last byte, both included. */
export interface ByteRange {
  start: number;
  end: number;
}

/**
 * Archives by key. A key is `/`-separated segments of `[A-Za-z0-9._-]`, none starting with a dot; a prefix is a key
 * that ends in `/`. An object appears whole or not at all.
 */
export interface ArchiveStore {
  /** URL of an object, for people and for servers of another make; no permission comes with it. */
  urlOf(key: string): string;
  /**
   * Writes a stream of any length, holding back its source where the store is slower; it is done with each piece before it
   * asks for the next. Where the source throws, the
   * write rejects with that error; in every failure nothing of the object remains.
   */
  write(key: string, source: ByteSource, options: WriteOptions): Promise<WrittenObject>;
  /**
   * Writes a small object unless one is there. False: one was there, and it stays as it was. It may be what this call has written,
   * where the store's answer was lost on its way.
   */
  putIfAbsent(key: string, content: Buffer, mediaType: string): Promise<boolean>;
  /** A small object whole; undefined where there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** Size in bytes; undefined where there is no such object. */
  sizeOf(key: string): Promise<number | undefined>;
  /**
   * Streams an object, or a range of it.
   * @throws {ObjectMissingError}
   */
  read(key: string, range?: ByteRange, signal?: AbortSignal): Promise<Readable>;
  /** Finished objects under a prefix, in the order of their keys. */
  list(prefix: string): AsyncIterable<StoredObject>;
  /** Keys of writes under a prefix that neither finished nor were cleared away. */
  listUnfinished(prefix: string): Promise<string[]>;
  /**
   * Clears away unfinished writes under a prefix; resolves with how many there were.
   * @param olderThan leaves alone those that took anything since then
   */
  sweepUnfinished(prefix: string, olderThan?: Date): Promise<number>;
  /** Deletes an object; nothing happens where there is none. */
  delete(key: string): Promise<void>;
  /** Deletes everything under a prefix, unfinished writes too; resolves with how many objects went. */
  deleteAll(prefix: string): Promise<number>;
  /** Rejects where the store cannot be used. */
  check(): Promise<void>;
  close(): Promise<void>;
}

/** The store cannot be reached, or refuses; the cause says more. */
export class StoreUnavailableError extends Error {
  override readonly name = 'StoreUnavailableError';
}

/** There is no object at that key. */
export class ObjectMissingError extends Error {
  override readonly name = 'ObjectMissingError';
  constructor(key: string, options?: ErrorOptions) {
    super(`there is no object at ${key}`, options);
  }
}

const SEGMENT = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/;

/** @throws {RangeError} for a key that could leave the store or that some store would read otherwise */
export function checkKey(key: string): string {
  if (!key.split('/').every((segment) => SEGMENT.test(segment))) {
    throw new RangeError(`not a key of an archive store: ${JSON.stringify(key)}`);
  }
  return key;
}

/** @throws {RangeError} for a prefix that does not end in `/` or is no key before it */
export function checkPrefix(prefix: string): string {
  if (!prefix.endsWith('/')) throw new RangeError(`not a prefix of an archive store: ${JSON.stringify(prefix)}`);
  checkKey(prefix.slice(0, -1));
  return prefix;
}
