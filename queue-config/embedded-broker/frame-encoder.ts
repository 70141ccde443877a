/** Writing STOMP 1.2 frames. */

/** Headers in the order in which they are written. */
export type HeaderList = readonly (readonly [string, string])[];

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\r': '\\r', '\n': '\\n', ':': '\\c' };
const EMPTY = Buffer.alloc(0);

/** A frame as bytes, with its content-length where it has a body. */
export function encodeFrame(command: string, headers: HeaderList, body: Buffer = EMPTY): Buffer {
  // "all frames except the CONNECT and CONNECTED frames will also escape any carriage return, line feed or colon"
  const write = command === 'CONNECT' || command === 'CONNECTED' ? (text: string) => text : escapeHeader;
  let head = `${command}\n`;
  for (const [name, value] of headers) head += `${write(name)}:${write(value)}\n`;
  if (body.length > 0) head += `content-length:${body.length}\n`;
  head += '\n';
  const headBytes = Buffer.byteLength(head);
  const frame = Buffer.allocUnsafe(headBytes + body.length + 1);
  frame.write(head, 0, 'utf8');
  body.copy(frame, headBytes);
  frame[frame.length - 1] = 0;
  return frame;
}

function escapeHeader(text: string): string {
  return /[\\\r\n:]/.test(text) ? text.replace(/[\\\r\n:]/g, (character) => ESCAPES[character] ?? character) : text;
}
