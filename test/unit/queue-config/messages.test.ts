import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  PHASES,
  UnreadableMessageError,
  decodeDeleteRequest,
  decodeEvent,
  decodePackageRequest,
  encodeDeleteRequest,
  encodeEvent,
  encodePackageRequest,
  eventsOf,
  parseEventsDestination,
  type PackagerEvent,
} from '../../../queue-config/index.js';

const bare = (body: string) => ({ headers: {}, body });

describe('package request', () => {
  test('comes back as it was sent', () => {
    const sent = encodePackageRequest({
      url: 'http://server/api/docsets/5?fmt=meta,txt',
      dump: 'd-1',
      docset: '5',
      attempt: 2,
    });
    expect(sent.body).toBe('http://server/api/docsets/5?fmt=meta,txt');
    expect(decodePackageRequest(sent)).toEqual({
      url: 'http://server/api/docsets/5?fmt=meta,txt',
      docset: '5',
      formats: ['meta', 'txt'],
      replyTo: '/queue/package/5',
      dump: 'd-1',
      attempt: 2,
      archiveKey: 'dumps/d-1/2/',
      traceparent: undefined,
    });
  });

  test('is read from its body alone, white space around it ignored', () => {
    const request = decodePackageRequest(bare('\r\n  http://server/api/docsets/5?fmts=pdf \n\n'));
    expect(request).toMatchObject({ docset: '5', formats: ['pdf'], replyTo: '/queue/package/5', attempt: 1 });
    expect(request.dump).toBeUndefined();
  });

  test('asks for txt where it names no format', () => {
    expect(decodePackageRequest(bare('http://server/api/docsets/5')).formats).toEqual(['txt']);
  });

  test.each([
    ['', 'body is empty'],
    ['hello', 'not a URL'],
    ['ftp://server/docsets/5', 'not an http(s) URL'],
    ['http://server/', 'not a docset id'],
    ['http://server/docsets/a%2Fb', 'not a docset id'],
    ['http://server/docsets/5?fmt=../x', 'no usable format'],
    ['http://server/docsets/5?fmt=,', 'no usable format'],
  ])('that cannot be read says why: %j', (body, why) => {
    expect(() => decodePackageRequest(bare(body))).toThrow(UnreadableMessageError);
    expect(() => decodePackageRequest(bare(body))).toThrow(why);
  });

  test.each([
    [{ 'reply-to': '/queue/other' }, 'reply-to'],
    [{ 'archive-key': '../../etc/' }, 'archive-key'],
    [{ 'correlation-id': 'a/b' }, 'correlation-id'],
    [{ attempt: '-1' }, 'attempt'],
  ])('with a header that leads astray is refused: %j', (headers, why) => {
    const message = { headers: headers as Record<string, string>, body: 'http://server/api/docsets/5' };
    expect(() => decodePackageRequest(message)).toThrow(why);
  });
});

describe('delete request', () => {
  test('comes back as it was sent', () => {
    expect(decodeDeleteRequest(encodeDeleteRequest('d-1'))).toEqual({ dump: 'd-1', prefix: 'dumps/d-1/' });
  });

  test.each(['', 'dumps/', 'dumps/d/1/', '/', 'dumps/../'])('refuses the prefix %j', (body) => {
    expect(() => decodeDeleteRequest(bare(body))).toThrow(UnreadableMessageError);
  });
});

describe('event', () => {
  const amount = fc.nat({ max: 999_999_999 });
  const origin = {
    dump: fc.uuid(),
    attempt: fc.integer({ min: 1, max: 3 }),
    run: fc.integer({ min: 1, max: 2_000_000_000_000 }),
    sequence: fc.integer({ min: 1, max: 1_000 }),
    timeline: fc.array(
      fc.record({
        phase: fc.constantFrom(...PHASES),
        started: fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }),
        ended: fc.option(fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 4 },
    ),
  };
  const event: fc.Arbitrary<PackagerEvent> = fc.oneof(
    fc.record({
      type: fc.constant('Accepted' as const),
      remainingSeconds: fc.option(amount, { nil: undefined }),
      ...origin,
    }),
    fc.record({
      type: fc.constant('Progress' as const),
      percent: fc.integer({ min: 0, max: 100 }),
      phase: fc.option(fc.constantFrom(...PHASES), { nil: undefined }),
      documents: fc.option(fc.record({ done: amount, total: amount }), { nil: undefined }),
      bytes: fc.option(amount, { nil: undefined }),
      remainingSeconds: fc.option(amount, { nil: undefined }),
      ...origin,
    }),
    fc.record({
      type: fc.constant('Complete' as const),
      url: fc.webUrl().map((url) => new URL(url).href),
      size: fc.option(amount, { nil: undefined }),
      sha256: fc.option(fc.stringMatching(/^[0-9a-f]{64}$/), { nil: undefined }),
      documents: fc.option(amount, { nil: undefined }),
      omitted: fc.option(amount, { nil: undefined }),
      ...origin,
    }),
    fc.record({
      type: fc.constant('Failed' as const),
      detail: fc.stringMatching(/^[A-Za-z][ -~]{0,40}[a-z.]$/).map((text) => text.replace(/\s+/g, ' ')),
      code: fc.option(fc.constantFrom('source-unavailable', 'packager-stalled'), { nil: undefined }),
      ...origin,
    }),
  );

  test('comes back as it was sent, whatever it says', () => {
    fc.assert(fc.property(event, (sent) => expect(decodeEvent(encodeEvent(sent))).toEqual(sent)));
  });

  test('never makes the reader fail in an unforeseen way', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.dictionary(fc.string(), fc.string()), (body, headers) => {
        try {
          decodeEvent({ body, headers });
        } catch (error) {
          expect(error).toBeInstanceOf(UnreadableMessageError);
        }
      }),
    );
  });

  test('in the bare words of another packager is understood', () => {
    expect(decodeEvent(bare('Accepted.'))).toMatchObject({ type: 'Accepted', dump: undefined, sequence: undefined });
    expect(decodeEvent(bare('Accepted. 45 seconds'))).toMatchObject({ type: 'Accepted', remainingSeconds: 45 });
    expect(decodeEvent(bare('Complete: https://foobar.s3.aws.com/package/5\nSize: 345345'))).toMatchObject({
      type: 'Complete',
      url: 'https://foobar.s3.aws.com/package/5',
      size: 345345,
    });
  });

  test('that names a URL in letters of the world gives it as one that fits into a header', () => {
    const url = 'https://archive.example/%E6%97%A5%E6%9C%AC.zip';
    expect(decodeEvent(bare('Complete: https://archive.example/日本.zip'))).toMatchObject({ url });
  });

  test('with a first word that nobody knows is ignored, and so are unknown keys', () => {
    expect(decodeEvent(bare('Paused: for lunch'))).toBeUndefined();
    expect(decodeEvent(bare('Progress: 42%\nMood: good'))).toMatchObject({ type: 'Progress', percent: 42 });
  });

  test.each([
    ['', 'empty'],
    ['!?', 'starts with no word'],
    ['Progress: soon', 'not a percentage'],
    ['Progress: 140%', 'not a percentage'],
    ['Failed: a\u0000b', 'control character'],
    ['Progress: 42%\nPhase: \u001b[2J', 'control character'],
    ['Complete: somewhere', 'names no URL'],
    ['Complete: http://a/b\nSize: big', 'size is not a whole number'],
    ['Complete: http://a/b\nSHA-256: 12', '64 hexadecimal digits'],
  ])('that cannot be read says why: %j', (body, why) => {
    expect(() => decodeEvent(bare(body))).toThrow(UnreadableMessageError);
    expect(() => decodeEvent(bare(body))).toThrow(why);
  });

  test('stays one line a field, whatever the reason for a failure contains', () => {
    const { body } = encodeEvent({
      type: 'Failed',
      detail: 'no\nComplete: http://evil/\r\n',
      code: 'packager-stalled',
    });
    expect(decodeEvent(bare(body))).toMatchObject({ type: 'Failed', detail: 'no Complete: http://evil/' });
  });
});

describe('destination', () => {
  test.each(['a.b', 'a/b', '*', '>', '', 'ä', 'a b', 'x'.repeat(65)])('is not made from the id %j', (id) => {
    expect(() => eventsOf(id)).toThrow(RangeError);
    expect(parseEventsDestination(`/queue/package/${id}`)).toBeUndefined();
  });
});
