/**
 * Thread that deflates many short contents at a time. Plain JavaScript, so that it loads from the sources as well as from the
 * build. Contents and results come and go as one buffer, which is handed over and not copied.
 */
import { Buffer } from 'node:buffer';
import { parentPort } from 'node:worker_threads';
import { crc32, deflateRawSync } from 'node:zlib';

/** @typedef {{ id: number, packed: Uint8Array, lengths: number[], level: number }} DeflateOrder */

parentPort?.on('message', (/** @type {DeflateOrder} */ { id, packed: { buffer }, lengths, level }) => {
  let start = 0;
  const deflated = lengths.map((length) => {
    const content = Buffer.from(buffer, start, length);
    start += length;
    // All of the output in one go.
    const bytes = deflateRawSync(content, { level, memLevel: 9, chunkSize: length + (length >> 10) + 128 });
    return { bytes, crc32: crc32(content) };
  });
  const packed = new Uint8Array(deflated.reduce((sum, { bytes }) => sum + bytes.length, 0));
  let end = 0;
  for (const { bytes } of deflated) {
    packed.set(bytes, end);
    end += bytes.length;
  }
  const result = {
    packed,
    lengths: deflated.map(({ bytes }) => bytes.length),
    crc32s: deflated.map((each) => each.crc32),
  };
  parentPort?.postMessage({ id, result }, [packed.buffer]);
});
