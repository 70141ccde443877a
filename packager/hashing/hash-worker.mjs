/**
 * Thread that hashes what lies in memory shared with the thread that moves the bytes. Plain JavaScript, so that it loads from
 * the sources as well as from the build.
 */
import { Buffer } from 'node:buffer';
import { createHash, hash } from 'node:crypto';
import { parentPort } from 'node:worker_threads';

/** @typedef {{ memory: ArrayBufferLike, start: number, length: number }} Place */
/** @typedef {{ id: number, type: 'add', stream: number, place: Place, isAlone: boolean }} AddOrder */
/** @typedef {{ id: number, type: 'end', stream: number }} EndOrder */
/** @typedef {{ id: number, type: 'check', place: Place, starts: Float64Array, lengths: Float64Array, digests: string }} CheckOrder */

/** Hexadecimal. */
const DIGEST_DIGITS = 64;

/** What both digests are computed of before the next, so that the second finds it in the cache: a quarter is saved. */
const CACHED = 64 * 1024;

/** Streams by number, from their first bytes to their end. @type {Map<number, import('node:crypto').Hash>} */
const streams = new Map();

parentPort?.on('message', (/** @type {AddOrder | EndOrder | CheckOrder} */ order) => {
  parentPort?.postMessage({ id: order.id, result: carryOut(order) });
});

/** @param {AddOrder | EndOrder | CheckOrder} order */
function carryOut(order) {
  switch (order.type) {
    case 'add':
      return add(streamOf(order.stream), bytesAt(order.place), order.isAlone);
    case 'end': {
      const digest = streamOf(order.stream).digest('hex');
      streams.delete(order.stream);
      return digest;
    }
    case 'check': {
      const bytes = bytesAt(order.place);
      /** @type {number[]} */
      const wrong = [];
      for (const [index, start] of order.starts.entries()) {
        const digest = order.digests.slice(index * DIGEST_DIGITS, (index + 1) * DIGEST_DIGITS);
        if (sha256(bytes.subarray(start, start + (order.lengths[index] ?? 0))) !== digest) wrong.push(index);
      }
      return wrong;
    }
  }
}

/**
 * @param {import('node:crypto').Hash} stream
 * @param {Buffer} bytes
 * @param {boolean} isAlone
 */
function add(stream, bytes, isAlone) {
  if (!isAlone) {
    stream.update(bytes);
    return undefined;
  }
  const own = createHash('sha256');
  for (let start = 0; start < bytes.length; start += CACHED) {
    const some = bytes.subarray(start, start + CACHED);
    stream.update(some);
    own.update(some);
  }
  return own.digest('hex');
}

/** @param {Place} place */
const bytesAt = ({ memory, start, length }) => Buffer.from(memory, start, length);

/** @param {Buffer} bytes */
const sha256 = (bytes) => hash('sha256', bytes, 'hex');

/** @param {number} number */
function streamOf(number) {
  let stream = streams.get(number);
  if (stream === undefined) streams.set(number, (stream = createHash('sha256')));
  return stream;
}
