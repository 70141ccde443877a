import { isAscii } from 'node:buffer';
import { ListingBrokenError } from './members.js';

/**
 * Cuts a stream of bytes into lines of UTF-8 text, those of a piece at a time; empty lines are left out.
 * @throws {ListingBrokenError} for a line that is too long, or bytes that are not UTF-8
 */
export async function* readLines(pieces: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string[]> {
  const decode = createDecoder();
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decode(piece)).split('\n');
    rest = lines.pop() ?? '';
    const full = lines.filter((line) => line.trim() !== '');
    if (full.length > 0) yield full;
    if (rest.length > longest) throw new ListingBrokenError(`a line is longer than ${longest} characters`);
  }
  rest += decode();
  if (rest.trim() !== '') yield [rest];
}

/** UTF-8, piece by piece; without a piece it ends. */
function createDecoder() {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let isWithinCharacter = false;
  return (piece?: Buffer): string => {
    // Links and digests are ASCII, which takes a fifth of the time by this way.
    if (piece !== undefined && !isWithinCharacter && isAscii(piece)) return piece.toString('latin1');
    try {
      isWithinCharacter = ((piece?.at(-1) ?? 0) & 0x80) !== 0;
      return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
    } catch (cause) {
      throw new ListingBrokenError('it is not UTF-8', { cause });
    }
  };
}
