import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { createSafeNamer } from '../../../packager/bag/safe-names.js';
import { payloadPath } from '../../../packager/bag/payload-names.js';

const named = (...refs: string[]): string[] => {
  const namer = createSafeNamer();
  return refs.map((ref) => namer.next(ref));
};
const SUFFIX = /~[0-9a-f]{8}$/;

/** Refs such as collections have, and such as an attacker would like to have. */
const ref = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1 }),
  fc.string({ unit: 'binary', minLength: 1 }),
  fc.string({ unit: 'binary', minLength: 200, maxLength: 400 }),
  fc.stringMatching(/^[aAbB./\\: ~%-]{1,6}$/),
  fc.constantFrom(
    'CON',
    'con.txt',
    'nul',
    'COM¹',
    '..',
    '.',
    '...',
    '~',
    '\ud800',
    'é',
    'e\u0301',
    'ﬁ',
    'fi',
    'ß',
    'SS',
    'İ',
    'ı',
    'K',
    'K',
  ),
);
const refs = fc.uniqueArray(ref, { maxLength: 60, comparator: 'IsStrictlyEqual' });

describe('names of documents in a bag', () => {
  test('a plain ref is its own name', () => {
    expect(named('1790-george-washington', 'Müller', '論文 1', 'a.b')).toEqual([
      '1790-george-washington',
      'Müller',
      '論文 1',
      'a.b',
    ]);
  });

  test.each([
    'a/b',
    'a\\b',
    '../x',
    'a:b',
    'con',
    'LPT1.x',
    'a%41',
    'a\nb',
    'trailing.',
    'trailing ',
    '-rf',
    '~root',
    '.hidden',
    '\u202egnp',
  ])('what is not safe in %j is replaced, and the name says so', (unsafe) => {
    const [name = ''] = named(unsafe);
    expect(name).toMatch(SUFFIX);
    expect(name).not.toMatch(/[/\\:%\n\u202e]|^[-~.]/u);
  });

  test('of two refs that a file system cannot tell apart the first keeps its name', () => {
    const [a, b, c] = named('Paper', 'paper', 'pa\u0301per');
    expect(a).toBe('Paper');
    expect(b).toMatch(/^paper~[0-9a-f]{8}$/);
    expect(c).toBe('páper');
  });

  test('a ref that looks like the name given to another gets a name of its own', () => {
    const [, given = ''] = named('A', 'a');
    const all = named('A', given, 'a');
    expect(new Set(all.map((name) => name.toLowerCase())).size).toBe(3);
  });

  test('two documents with one ref are refused when all names for it are taken', () => {
    expect(() => named('a', 'a', 'a', 'a', 'a', 'a')).toThrow(RangeError);
  });

  test('are safe everywhere, never alike and always the same, whatever the refs', () => {
    fc.assert(
      fc.property(refs, (all) => {
        const names = named(...all);
        expect(named(...all)).toEqual(names);
        const alike = names.map((name) => name.normalize('NFD').toLowerCase().normalize('NFC'));
        expect(new Set(alike).size).toBe(names.length);
        for (const name of names) {
          const path = payloadPath(name, 'abcdefghijklmnop', ['abcdefghijklmnop']).slice('data/'.length);
          expect(Buffer.byteLength(path)).toBeLessThanOrEqual(255);
          expect(Buffer.from(name).toString()).toBe(name);
          expect(name.normalize('NFC')).toBe(name);
          expect(name).not.toMatch(/[<>:"/\\|?*%\p{Cc}]|^[\s.~-]|[\s.]$|^\.\.?$/u);
          expect(name).not.toMatch(/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('100,000 names take seconds and megabytes, not more', () => {
    const namer = createSafeNamer();
    for (let number = 0; number < 100_000; number++) expect(namer.next(`doc-${number}`).length).toBeLessThan(12);
  });
});

test('metadata is JSON, unless a format of that name is wanted too', () => {
  expect(payloadPath('a', 'meta', ['meta', 'txt'])).toBe('data/a.json');
  expect(payloadPath('a', 'meta', ['meta', 'json'])).toBe('data/a.meta');
  expect(payloadPath('a', 'json', ['meta', 'json'])).toBe('data/a.json');
});
