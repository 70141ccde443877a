import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createPackedMembers } from '../../../packager/source/packed-members.js';

test('members come out of their packing as they went in', () => {
  const text = fc.option(fc.string({ unit: 'grapheme', maxLength: 20 }), { nil: undefined });
  const digest = fc.stringMatching(/^[0-9a-f]{64}$/);
  const range = fc.record({
    segment: fc
      .constantFrom('1', '2')
      .map((id) => ({ id, href: `/api/segments/${id}`, size: 2 ** 40, key: id, bucket: 'b' })),
    offset: fc.nat(2 ** 40),
    length: fc.nat(),
    method: fc.constantFrom('deflate' as const, 'store' as const),
    crc32: fc.nat(2 ** 32 - 1),
    sha256: digest,
  });
  const file = fc.record({
    href: fc.constantFrom('http://server/api/documents/1/files/txt', 'http://elsewhere/1'),
    accept: text,
    media_type: text,
    size: fc.option(fc.nat(2 ** 40), { nil: undefined }),
    sha256: fc.option(digest, { nil: undefined }),
    stored: fc.option(range, { nil: undefined }),
  });
  const member = fc.record({
    ref: fc.string({ unit: 'grapheme', minLength: 1 }),
    title: text,
    creator: text,
    date: text,
    url: fc.constantFrom(undefined, 'http://server/api/documents/1'),
    number: fc.option(fc.oneof(fc.nat(2 ** 53), fc.constantFrom('007', '-1', '1.5', '12345678901234567890'))),
    files: fc.oneof(fc.constant({}), fc.record({ txt: file }), fc.record({ meta: file, txt: file })),
  });
  fc.assert(
    fc.property(fc.array(member, { maxLength: 600 }), (drawn) => {
      // At a few places, and then at more than are kept apart.
      const places = drawn.length > 300 ? 200 : 3;
      const members = drawn.map(({ number, ...each }, index) =>
        number === null ? each : { ...each, url: `http://server/${index % places}/documents/${number}` },
      );
      const packed = createPackedMembers(['meta', 'txt']);
      for (const each of members) packed.add(each);
      expect([...packed.members()].flat()).toEqual(members);
      expect([...packed.members()].flat()).toEqual(members);
    }),
    { numRuns: 30 },
  );
});
