/** Cuts a stream into parts of given sizes, one part in memory at a time. */

export interface Part {
  part: Buffer;
  /** From 1. */
  number: number;
  last: boolean;
}

/** An empty stream is one empty part. The last part is held back until the source's end is seen. */
export async function* cutIntoParts(
  source: AsyncIterable<Buffer>,
  sizeOf: (number: number) => number,
): AsyncGenerator<Part> {
  let number = 1;
  let pieces: Buffer[] = [];
  let held = 0;
  for await (const incoming of source) {
    let piece = incoming;
    while (piece.length > 0) {
      const wanted = sizeOf(number);
      if (held === wanted) {
        yield { part: Buffer.concat(pieces, held), number, last: false };
        number += 1;
        pieces = [];
        held = 0;
        continue;
      }
      const taken = piece.subarray(0, wanted - held);
      pieces.push(taken);
      held += taken.length;
      piece = piece.subarray(taken.length);
    }
  }
  yield { part: Buffer.concat(pieces, held), number, last: true };
}
