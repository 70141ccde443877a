/** Rows of a CSV that are too long to be held, taken out before it is read, so that those behind them can be. */

/** The only cell of the row that stands where a longer one was. No text of a CSV begins with U+0000. */
export const TOO_LONG = Buffer.from('\0row too long');

const [QUOTE, COMMA, LINE_FEED] = [0x22, 0x2c, 0x0a];

/** RFC 4180: a quotation mark quotes where a cell begins; in a quoted cell it ends it, unless it is written twice. */
type Place = 'cell begins' | 'in a cell' | 'quoted' | 'quote in quoted';

/**
 * Passes on whole rows, and in the place of each that has more than `longest` bytes, one of the cell {@link TOO_LONG}. Where a
 * quotation mark is never closed, that is all that follows.
 */
export async function* withoutLongRows(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Buffer> {
  let place: Place = 'cell begins';
  /** The row so far; empty where it is too long already. */
  let held: Buffer[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    /** Where rows end that begin in this chunk, and the end of the one that began before. */
    let first = 0;
    let last = 0;
    for (let index = 0; index < chunk.length; index += 1) {
      const byte = chunk[index];
      if (byte === LINE_FEED && place !== 'quoted') {
        place = 'cell begins';
        last = index + 1;
        if (first === 0) first = last;
      } else {
        place = next(place, byte);
      }
    }
    if (last > 0) {
      yield length + first > longest
        ? Buffer.concat([TOO_LONG, NEW_LINE])
        : Buffer.concat([...held, chunk.subarray(0, first)]);
      if (last > first) yield chunk.subarray(first, last);
      [held, length] = [[], 0];
    }
    length += chunk.length - last;
    if (length > longest) held = [];
    else if (last < chunk.length) held.push(chunk.subarray(last));
  }
  if (length > longest) yield TOO_LONG;
  else yield* held;
}

const NEW_LINE = Buffer.from('\n');

function next(place: Place, byte: number | undefined): Place {
  if (place === 'quoted') return byte === QUOTE ? 'quote in quoted' : 'quoted';
  if (byte === COMMA) return 'cell begins';
  if (byte !== QUOTE) return 'in a cell';
  return place === 'in a cell' ? 'in a cell' : 'quoted';
}
