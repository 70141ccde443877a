/**
 * Thread that deflates many short contents at a time, where they lie in memory shared with the thread that writes the archive.
 * Plain JavaScript, so that it loads from the sources as well as from the build.
 */
import { Buffer } from 'node:buffer';
import { parentPort } from 'node:worker_threads';
import { crc32, deflateRawSync } from 'node:zlib';

/**
 * Contents that lie one behind the other from the start of the memory, each at the next whole word.
 *
 * @typedef {{ id: number, memory: SharedArrayBuffer, lengths: Uint32Array, level: number }} DeflateOrder
 */

parentPort?.on('message', (/** @type {DeflateOrder} */ { id, memory, lengths, level }) => {
  parentPort?.postMessage({ id, result: deflateInPlace(Buffer.from(memory), lengths, level) });
});

/**
 * What is stored of each content takes the place of the contents, none of which it is longer than: what was not read yet is
 * never overwritten.
 *
 * @param {Buffer} bytes
 * @param {Uint32Array} lengths of the contents
 * @param {number} level 1 to 9
 * @returns lengths of what is stored, each at the next whole word too, and CRC-32s of the contents
 */
function deflateInPlace(bytes, lengths, level) {
  const stored = new Uint32Array(lengths.length);
  const crc32s = new Uint32Array(lengths.length);
  let start = 0;
  let end = 0;
  for (const [index, length] of lengths.entries()) {
    const content = bytes.subarray(start, start + length);
    start = aligned(start + length);
    crc32s[index] = crc32(content);
    const deflated = deflateRawSync(content, optionsFor(length, level));
    // Deflated, where that has made it smaller.
    const smaller = deflated.length < length ? deflated : content;
    bytes.set(smaller, end);
    stored[index] = smaller.length;
    end = aligned(end + smaller.length);
  }
  return { stored, crc32s };
}

/** In bytes; see deflate-pool.ts. */
const WORD = 8;

/** @param {number} end */
const aligned = (end) => Math.ceil(end / WORD) * WORD;

/** Powers of 2: the windows that zlib knows, in bytes. */
const MOST_WINDOW_BITS = 15;
const LEAST_WINDOW_BITS = 9;
/** What zlib needs of its window besides what it looks back upon (`MIN_LOOKAHEAD`). */
const LOOKAHEAD = 262;

/**
 * A window that the whole content fits into gives the same bytes as the longest, and less memory to clear for each content.
 *
 * @param {number} length of the content in bytes
 * @param {number} level 1 to 9
 */
function optionsFor(length, level) {
  let windowBits = LEAST_WINDOW_BITS;
  while (windowBits < MOST_WINDOW_BITS && 2 ** windowBits < length + LOOKAHEAD) windowBits += 1;
  // All of the output in one go.
  return { level, windowBits, memLevel: 9, chunkSize: length + (length >> 10) + 128 };
}
