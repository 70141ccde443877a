/** Reading STOMP 1.2 frames from a stream of bytes that arrives in any pieces. */
import { isUtf8 } from 'node:buffer';
import { overLimit, quoted, Refusal } from './refusal.js';

export interface Frame {
  command: string;
  /** Of a repeated header the first one: "only the first header entry SHOULD be used". */
  headers: Map<string, string>;
  body: Buffer;
}

export interface FrameLimits {
  frameBytes: number;
  headerBytes: number;
  headers: number;
}

export interface FrameParser {
  /** @throws {Refusal} for bytes that are no frame, or too large a one; the parser takes nothing afterwards */
  push(chunk: Buffer): void;
  /** Bytes held of a frame that is not yet complete. */
  readonly held: number;
  /** Drops what is held, and whatever comes. */
  stop(): void;
}

export const CLIENT_COMMANDS: ReadonlySet<string> = new Set(
  'CONNECT STOMP SEND SUBSCRIBE UNSUBSCRIBE ACK NACK BEGIN COMMIT ABORT DISCONNECT'.split(' '),
);
export const SERVER_COMMANDS: ReadonlySet<string> = new Set(['CONNECTED', 'MESSAGE', 'RECEIPT', 'ERROR']);

const LF = 10;
const CR = 13;
const LONGEST_COMMAND = 16;
const NOTHING = Buffer.alloc(0);

/** `limits` is read anew for each frame, so that it may widen once the peer is known. */
export function createFrameParser({
  commands,
  limits,
  onFrame,
}: {
  commands: ReadonlySet<string>;
  limits: () => FrameLimits;
  onFrame: (frame: Frame) => void;
}): FrameParser {
  const held = createHeldBytes();
  let stopped = false;
  // The frame being read; undefined between two frames.
  let frame: { command: string; headers: Map<string, string>; lines: number; bytes: number } | undefined;
  let bodyLength: number | 'until NUL' | undefined;
  // The bytes after `at` that were already searched for the end of what is being read.
  let searched = 0;

  /** One line without its end, or undefined while the end has not come. */
  function readLine(data: Buffer, at: number): { line: Buffer; next: number } | undefined {
    const end = data.indexOf(LF, at + searched);
    if (end < 0) {
      searched = data.length - at;
      return undefined;
    }
    searched = 0;
    return { line: data.subarray(at, end > at && data[end - 1] === CR ? end - 1 : end), next: end + 1 };
  }

  function countHeaderBytes(bytes: number, complete: boolean): void {
    const { headerBytes, frameBytes } = limits();
    const limit = Math.min(headerBytes, frameBytes);
    const total = (frame?.bytes ?? 0) + bytes;
    if (total > limit) throw overLimit('the headers of a frame', limit, 'bytes', { fatal: true });
    if (frame !== undefined && complete) frame.bytes = total;
  }

  function startFrame(line: Buffer): void {
    // A CR and its LF that came in two pieces.
    if (line.length === 0) return;
    const command = line.toString('latin1');
    if (!commands.has(command)) {
      throw new Refusal(`unknown command ${quoted(command)}`, { detail: 'This is a STOMP 1.2 broker.' });
    }
    frame = { command, headers: new Map(), lines: 0, bytes: line.length + 1 };
  }

  function addHeader(line: Buffer, into: NonNullable<typeof frame>): void {
    const limit = limits().headers;
    if (++into.lines > limit) throw overLimit('the headers of a frame', limit, 'lines', { fatal: true });
    if (!isUtf8(line)) throw new Refusal('a header is not UTF-8');
    const text = line.toString('utf8');
    const colon = text.indexOf(':');
    if (colon < 1) throw new Refusal(`header line ${quoted(text)} is not name:value`);
    const literal = into.command === 'CONNECT' || into.command === 'CONNECTED';
    const name = literal ? text.slice(0, colon) : unescapeHeader(text.slice(0, colon));
    if (into.headers.has(name)) return;
    into.headers.set(name, literal ? text.slice(colon + 1) : unescapeHeader(text.slice(colon + 1)));
  }

  function endHeaders(of: NonNullable<typeof frame>): void {
    const text = of.headers.get('content-length');
    if (text === undefined) {
      bodyLength = 'until NUL';
      return;
    }
    if (!/^\d{1,15}$/.test(text)) throw new Refusal(`content-length ${quoted(text)} is not a whole number`);
    bodyLength = Number(text);
    checkFrameBytes(of.bytes + bodyLength);
  }

  function checkFrameBytes(bytes: number): void {
    const { frameBytes } = limits();
    if (bytes > frameBytes) throw overLimit('a frame', frameBytes, 'bytes', { fatal: true });
  }

  /** The body's end and the byte after its NUL, or undefined while that has not come. */
  function findBodyEnd(data: Buffer, at: number, headBytes: number): number | undefined {
    if (bodyLength !== 'until NUL') {
      const end = at + (bodyLength ?? 0);
      if (end >= data.length) return undefined;
      if (data[end] !== 0) throw new Refusal('no NUL after the number of bytes that content-length says');
      return end;
    }
    const end = data.indexOf(0, at + searched);
    checkFrameBytes(headBytes + (end < 0 ? data.length : end) - at);
    if (end >= 0) return end;
    searched = data.length - at;
    return undefined;
  }

  function readGap(data: Buffer, at: number): number {
    let next = at;
    while (data[next] === LF || (data[next] === CR && data[next + 1] === LF)) next += data[next] === LF ? 1 : 2;
    return next;
  }

  /** Reads one step further: the new position, or undefined where more bytes are needed. */
  function step(data: Buffer, at: number): number | undefined {
    if (bodyLength !== undefined && frame !== undefined) {
      const end = findBodyEnd(data, at, frame.bytes);
      if (end === undefined) return undefined;
      const { command, headers } = frame;
      frame = undefined;
      bodyLength = undefined;
      searched = 0;
      // Copied, so that a small body does not keep the large chunk that it came in.
      onFrame({ command, headers, body: end === at ? NOTHING : Buffer.from(data.subarray(at, end)) });
      return end + 1;
    }
    const read = readLine(data, at);
    if (read === undefined) {
      if (frame === undefined && data.length - at > LONGEST_COMMAND) {
        throw new Refusal('the first line of a frame is no command', { detail: 'This is a STOMP 1.2 broker.' });
      }
      countHeaderBytes(data.length - at, false);
      return undefined;
    }
    if (frame === undefined) {
      startFrame(read.line);
      return read.next;
    }
    countHeaderBytes(read.next - at, true);
    if (read.line.length === 0) endHeaders(frame);
    else addHeader(read.line, frame);
    return read.next;
  }

  function readAll(data: Buffer): number {
    let at = 0;
    while (!stopped) {
      // Servers and clients may put any number of EOLs between frames: they are heart-beats.
      if (frame === undefined && searched === 0) at = readGap(data, at);
      if (at >= data.length) break;
      const next = step(data, at);
      if (next === undefined) break;
      at = next;
    }
    return at;
  }

  return {
    push(chunk) {
      if (stopped) return;
      const data = held.append(chunk);
      try {
        held.keepFrom(data, readAll(data));
      } catch (error) {
        stopped = true;
        throw error;
      } finally {
        if (stopped) held.clear();
      }
    },
    get held() {
      return held.length;
    },
    stop() {
      stopped = true;
    },
  };
}

/**
 * Bytes that wait for the rest of their frame. They are copied into one block: a peer that sends single bytes would otherwise
 * make the broker keep a hundred bytes of bookkeeping for each of them.
 */
function createHeldBytes() {
  let block = NOTHING;
  let length = 0;
  return {
    get length() {
      return length;
    },
    /** What is held followed by the chunk; the chunk itself where nothing is held. */
    append(chunk: Buffer): Buffer {
      if (length === 0) return chunk;
      if (length + chunk.length > block.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(length + chunk.length, block.length * 2));
        block.copy(larger, 0, 0, length);
        block = larger;
      }
      chunk.copy(block, length);
      length += chunk.length;
      return block.subarray(0, length);
    },
    /** Holds `data` from `at` on; `data` is what `append` returned. */
    keepFrom(data: Buffer, at: number): void {
      if (at >= data.length) {
        this.clear();
      } else if (length === 0) {
        block = Buffer.from(data.subarray(at));
        length = block.length;
      } else {
        if (at > 0) block.copyWithin(0, at, length);
        length -= at;
      }
    },
    clear(): void {
      block = NOTHING;
      length = 0;
    },
  };
}

/** "Undefined escape sequences such as \t MUST be treated as a fatal protocol error." */
function unescapeHeader(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(/\\(.?)/gs, (sequence, character: string) => {
    switch (character) {
      case 'r':
        return '\r';
      case 'n':
        return '\n';
      case 'c':
        return ':';
      case '\\':
        return '\\';
      default:
        throw new Refusal(`undefined escape ${quoted(sequence)} in a header`);
    }
  });
}
