import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { encodeFrame } from '../../../queue-config/embedded-broker/frame-encoder.js';
import {
  CLIENT_COMMANDS,
  createFrameParser,
  type Frame,
  type FrameLimits,
} from '../../../queue-config/embedded-broker/frame-parser.js';

const LIMITS: FrameLimits = { frameBytes: 1_000_000, headerBytes: 100_000, headers: 100 };

function parse(chunks: (Buffer | string)[], limits: FrameLimits = LIMITS): Frame[] {
  const frames: Frame[] = [];
  const parser = createFrameParser({ commands: CLIENT_COMMANDS, limits: () => limits, onFrame: (f) => frames.push(f) });
  for (const chunk of chunks) parser.push(Buffer.from(chunk));
  return frames;
}

function parseOne(bytes: string): Frame {
  const [frame] = parse([bytes]);
  if (frame === undefined) throw new Error('no frame');
  return frame;
}

const wellFormed = fc
  .string({ unit: 'binary', maxLength: 30 })
  .filter((text) => text.isWellFormed() && !text.includes('\0'));
const frames = fc.array(
  fc.record({
    command: fc.constantFrom('SEND', 'SUBSCRIBE', 'ACK', 'DISCONNECT'),
    headers: fc.uniqueArray(
      fc.tuple(
        wellFormed.filter((name) => name !== '' && name !== 'content-length'),
        wellFormed,
      ),
      { maxLength: 8, selector: ([name]) => name },
    ),
    body: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    gap: fc.constantFrom('', '\n', '\r\n', '\n\n\r\n'),
  }),
  { maxLength: 6 },
);

describe('frames', () => {
  it('read back as they were written, whatever pieces they arrive in', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (sent, cuts) => {
        const stream = Buffer.concat(
          sent.flatMap(({ command, headers, body, gap }) => [encodeFrame(command, headers, body), Buffer.from(gap)]),
        );
        const chunks: Buffer[] = [];
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const size = cuts[turn % cuts.length] ?? 1;
          chunks.push(stream.subarray(at, at + size));
          at += size;
        }
        const read = parse(chunks);
        expect(read.map(({ command, body }) => ({ command, body }))).toEqual(
          sent.map(({ command, body }) => ({ command, body })),
        );
        read.forEach(({ headers }, index) => {
          headers.delete('content-length');
          expect([...headers]).toEqual(sent[index]?.headers);
        });
      }),
      { numRuns: 300 },
    );
  });

  it('hold nothing back once they are complete', () => {
    const parser = createFrameParser({ commands: CLIENT_COMMANDS, limits: () => LIMITS, onFrame: () => undefined });
    parser.push(Buffer.from('SEND\ndestination:/queue/a\n\nhello'));
    expect(parser.held).toBeGreaterThan(0);
    parser.push(Buffer.from('\0'));
    expect(parser.held).toBe(0);
  });

  it('may end their lines with CR LF', () => {
    const { command, headers } = parseOne('SEND\r\ndestination:/queue/a\r\n\r\nbody\0');
    expect([command, headers.get('destination')]).toEqual(['SEND', '/queue/a']);
  });

  it('give the first of a repeated header', () => {
    expect(parseOne('SEND\nfoo:World\nfoo:Hello\n\n\0').headers.get('foo')).toBe('World');
  });

  it('keep a NUL inside a body whose length is given', () => {
    expect(parseOne('SEND\ncontent-length:3\n\na\0b\0').body.toString()).toBe('a\0b');
  });

  it('end their body at the first NUL where no length is given', () => {
    expect(parse(['SEND\n\na\0\nSEND\n\nb\0']).map(({ body }) => body.toString())).toEqual(['a', 'b']);
  });

  it('unescape their headers, except in CONNECT', () => {
    expect(parseOne('SEND\na\\cb:1\\n2\\r3\\\\4\\c5\n\n\0').headers.get('a:b')).toBe('1\n2\r3\\4:5');
    expect(parseOne('CONNECT\npasscode:a\\cb:c\n\n\0').headers.get('passcode')).toBe('a\\cb:c');
  });

  it('keep colons and spaces of a value as they are', () => {
    expect(parseOne('SEND\nurl: http://a:1/ \n\n\0').headers.get('url')).toBe(' http://a:1/ ');
  });

  it.each([
    ['an undefined escape', 'SEND\na:\\t\n\n\0', /undefined escape/],
    ['an escape cut short', 'SEND\na:b\\\n\n\0', /undefined escape/],
    ['a header without a colon', 'SEND\nnonsense\n\n\0', /name:value/],
    ['a header without a name', 'SEND\n:value\n\n\0', /name:value/],
    ['an unknown command', 'GET / HTTP/1.1\n', /unknown command "GET \/ HTTP\/1.1"/],
    ['a first line that never ends', '\x16\x03\x01 a TLS greeting', /no command/],
    ['a content-length that is no number', 'SEND\ncontent-length:-1\n\n\0', /whole number/],
    ['a content-length that is too small', 'SEND\ncontent-length:1\n\nab\0', /no NUL/],
    ['a content-length above the limit, before its body', 'SEND\ncontent-length:1000001\n\n', /1000000 bytes/],
  ])('are refused with %s', (_name, bytes, message) => {
    expect(() => parse([bytes])).toThrow(message);
  });

  it('are refused when a header is not UTF-8', () => {
    expect(() => parse([Buffer.from('53454e440a613affff0a', 'hex')])).toThrow(/UTF-8/);
  });

  it('are refused at the limit of headers, of header bytes, and of bytes, though they never end', () => {
    const small: FrameLimits = { frameBytes: 1_000, headerBytes: 200, headers: 5 };
    expect(() => parse(['SEND\n', ...Array<string>(6).fill('a:b\n')], small)).toThrow(/limited to 5 lines/);
    expect(() => parse(['SEND\n', ...Array<string>(300).fill('a')], small)).toThrow(/limited to 200 bytes/);
    expect(() => parse(['SEND\n\n', ...Array<string>(1_100).fill('a')], small)).toThrow(/limited to 1000 bytes/);
  });

  it('of megabytes are read from pieces without reading anything twice', () => {
    const body = Buffer.alloc(8_000_000, 'x');
    const stream = encodeFrame('SEND', [['destination', '/queue/a']], body);
    const chunks = Array.from({ length: Math.ceil(stream.length / 1_000) }, (_, at) =>
      stream.subarray(at * 1_000, (at + 1) * 1_000),
    );
    const started = process.cpuUsage();
    const [frame] = parse(chunks, { ...LIMITS, frameBytes: 16_000_000 });
    expect(frame?.body.equals(body)).toBe(true);
    // Quadratic work would take a minute. A machine that stands still meanwhile does no work.
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 1_000).toBeLessThan(2_000);
  });
});
