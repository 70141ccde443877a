import { ListingBrokenError } from './members.js';

/**
 * Cuts a stream of bytes into lines of UTF-8 text; empty lines are left out.
 * @throws {ListingBrokenError} for a line that is too long, or bytes that are not UTF-8
 */
export async function* readLines(pieces: AsyncIterable<Buffer>, longest: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let rest = '';
  for await (const piece of pieces) {
    const lines = (rest + decode(decoder, piece)).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield line;
    if (rest.length > longest) throw new ListingBrokenError(`a line is longer than ${longest} characters`);
  }
  rest += decode(decoder);
  if (rest.trim() !== '') yield rest;
}

function decode(decoder: InstanceType<typeof TextDecoder>, piece?: Buffer): string {
  try {
    return piece === undefined ? decoder.decode() : decoder.decode(piece, { stream: true });
  } catch (cause) {
    throw new ListingBrokenError('it is not UTF-8', { cause });
  }
}
