/**
 * SHA-256 in a thread of its own, so that the thread that moves the bytes does not stop to hash them. One thread serves all
 * jobs; it is started when it is first needed.
 */
import { createHash, hash } from 'node:crypto';
import { startWorkerThread, type WorkerThread } from '../worker-thread.js';
import { isShared } from './shared-memory.js';

/** Where some bytes lie, with the digest that they should have. */
export interface DigestedPlace {
  start: number;
  length: number;
  /** 64 hexadecimal digits. */
  sha256: string;
}

export interface StreamDigest {
  /** The next bytes of the stream, which have to stay as they are until this resolves. */
  add(bytes: Buffer): Promise<void>;
  /** The same. @returns the digest of these bytes alone */
  addPart(bytes: Buffer): Promise<string>;
  /** Of all bytes, as 64 hexadecimal digits. To be called once. */
  digest(): Promise<string>;
}

/** Below this many bytes waking another thread takes longer than hashing here. */
const WORTH_A_THREAD = 256 * 1024;

/** Indexes of those places within `bytes` that do not have their digest. */
export async function findWrong(bytes: Buffer, places: readonly DigestedPlace[]): Promise<number[]> {
  if (bytes.length >= WORTH_A_THREAD && isShared(bytes)) {
    return thread().ask({
      type: 'check',
      place: placeOf(bytes),
      // A few long values, which are handed over much faster than many short ones.
      starts: Float64Array.from(places, ({ start }) => start),
      lengths: Float64Array.from(places, ({ length }) => length),
      digests: places.map(({ sha256 }) => sha256).join(''),
    });
  }
  return [...places.keys()].filter((index) => {
    const { start = 0, length = 0, sha256: expected } = places[index] ?? {};
    return sha256(bytes.subarray(start, start + length)) !== expected;
  });
}

/** @param length of the stream in bytes, as far as it is known: a short one is hashed here */
export function createStreamDigest(length = Infinity): StreamDigest {
  if (length < WORTH_A_THREAD) return digestHere();
  const stream = nextStream++;
  // The thread that has hashed its beginning: another one would make a digest of the rest.
  let own: WorkerThread | undefined;
  const ask = <Answer>(order: object, transferred?: readonly ArrayBuffer[]): Promise<Answer> =>
    (own ??= thread()).ask({ ...order, stream }, transferred);
  const add = <Answer>(bytes: Buffer, isAlone: boolean): Promise<Answer> => {
    if (isShared(bytes)) return ask({ type: 'add', place: placeOf(bytes), isAlone });
    const copy = new Uint8Array(bytes).buffer;
    return ask({ type: 'add', place: { memory: copy, start: 0, length: bytes.length }, isAlone }, [copy]);
  };
  return {
    add: (bytes) => add(bytes, false),
    addPart: (bytes) => add(bytes, true),
    digest: () => ask({ type: 'end' }),
  };
}

let nextStream = 0;

function digestHere(): StreamDigest {
  const stream = createHash('sha256');
  return {
    add(bytes) {
      stream.update(bytes);
      return Promise.resolve();
    },
    addPart(bytes) {
      stream.update(bytes);
      return Promise.resolve(sha256(bytes));
    },
    digest: () => Promise.resolve(stream.digest('hex')),
  };
}

const sha256 = (bytes: Buffer): string => hash('sha256', bytes, 'hex');

interface Place {
  memory: ArrayBufferLike;
  start: number;
  length: number;
}

const placeOf = (bytes: Buffer): Place => ({ memory: bytes.buffer, start: bytes.byteOffset, length: bytes.length });

let running: WorkerThread | undefined;

const thread = (): WorkerThread =>
  (running ??= startWorkerThread(new URL('./hash-worker.mjs', import.meta.url), 'hashing', () => {
    running = undefined;
  }));
