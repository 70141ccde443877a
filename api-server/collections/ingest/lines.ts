/** Cuts a stream of bytes into lines of UTF-8, without ever holding more than one line. */

export type Line = { number: number; text: string } | { number: number; fault: string };

/** Empty lines are left out; a line that is too long or no UTF-8 is told with its fault, and the ones behind it go on. */
export async function* readLines(chunks: AsyncIterable<Buffer>, longest: number): AsyncGenerator<Line> {
  let number = 0;
  let parts: Buffer[] = [];
  let length = 0;
  /** The line so far, or its fault; then a new one begins. */
  const finish = (): Line | undefined => {
    number += 1;
    const bytes = length > longest ? undefined : Buffer.concat(parts);
    const line =
      bytes === undefined ? { number, fault: `the line is longer than ${longest} bytes` } : decode(number, bytes);
    parts = [];
    length = 0;
    return 'text' in line && line.text.trim() === '' ? undefined : line;
  };
  for await (const chunk of chunks) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, start)) {
      add(chunk.subarray(start, end));
      start = end + 1;
      const line = finish();
      if (line !== undefined) yield line;
    }
    add(chunk.subarray(start));
  }
  if (length > 0) {
    const line = finish();
    if (line !== undefined) yield line;
  }

  function add(part: Buffer): void {
    length += part.length;
    if (length > longest) parts = [];
    else parts.push(part);
  }
}

function decode(number: number, bytes: Buffer): Line {
  try {
    return { number, text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) };
  } catch {
    return { number, fault: 'the line is not UTF-8' };
  }
}
