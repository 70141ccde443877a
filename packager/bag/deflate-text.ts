/** Deflates text of any length while it is being made, and tells what a header has to say of it. */
import { createHash } from 'node:crypto';
import { constants, crc32 } from 'node:zlib';
import { deflate, windowOf } from '../zip/deflate.js';
import type { EntryFacts } from '../zip/entry.js';

export interface TextFacts extends Omit<EntryFacts, 'name'> {
  sha256: string;
}

export interface TextDeflater {
  /** A promise where there is something to wait for before more text is welcome. */
  write(text: string): Promise<void> | undefined;
  end(): Promise<TextFacts>;
}

/** In characters, at the least. */
const PIECE = 256 * 1024;
/** Pieces that are being deflated while the next text is made. */
const PIECES_AHEAD = 3;
/** Digests are what bags' text is full of: this makes no use of their chance likenesses, and is smaller and faster for it. */
const DIGESTS = { level: 4, strategy: constants.Z_FILTERED };

/** The same writes give the same pieces. */
export function createTextDeflater(onPiece: (piece: Buffer) => void): TextDeflater {
  const sha256 = createHash('sha256');
  const facts = { size: 0, stored: 0, crc32: 0 };
  const ahead: Promise<void>[] = [];
  let order: Promise<void> = Promise.resolve();
  let before: Buffer | undefined;
  let held: string[] = [];
  let heldLength = 0;

  const take = (): Buffer => {
    const bytes = Buffer.from(held.join(''));
    held = [];
    heldLength = 0;
    sha256.update(bytes);
    facts.size += bytes.length;
    facts.crc32 = crc32(bytes, facts.crc32);
    return bytes;
  };
  const hand = (piece: Buffer): void => {
    facts.stored += piece.length;
    onPiece(piece);
  };
  const deflateNext = (bytes: Buffer, isLast: boolean): void => {
    const deflating = deflate(bytes, { ...DIGESTS, before, isLast });
    order = order.then(async () => (await deflating).forEach(hand));
    ahead.push(order);
    before = windowOf(bytes);
  };

  return {
    write(text) {
      held.push(text);
      heldLength += text.length;
      if (heldLength < PIECE) return undefined;
      deflateNext(take(), false);
      return ahead.length > PIECES_AHEAD ? ahead.shift() : undefined;
    },
    async end() {
      const isWhole = before === undefined;
      const rest = take();
      if (isWhole) {
        const deflated = await deflate(rest, DIGESTS);
        const isSmaller = deflated.reduce((sum, piece) => sum + piece.length, 0) < rest.length;
        (isSmaller ? deflated : [rest]).forEach(hand);
        return { ...facts, sha256: sha256.digest('hex'), method: isSmaller ? 'deflate' : 'store' };
      }
      deflateNext(rest, true);
      await order;
      return { ...facts, sha256: sha256.digest('hex'), method: 'deflate' };
    },
  };
}

/** The same as a stream. */
export async function* deflatedText(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let ready: Buffer[] = [];
  const deflater = createTextDeflater((piece) => void ready.push(piece));
  for await (const text of texts) {
    await deflater.write(text);
    yield* ready;
    ready = [];
  }
  await deflater.end();
  yield* ready;
}
