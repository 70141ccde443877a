/** What the two languages for query strings have in common: reading a text piece by piece, and what its pieces mean. */
import { all, atLeast, boosted, not } from './combine.js';
import { fieldOf, type Field } from './fields.js';
import { inAnyField, matchPhrase, matchWordPrefix, matchWords, type BoostedField } from './match.js';
import { countClauses, refuse, type Compiled, type Context } from './query-node.js';
import { compileRange } from './range.js';
import { ALL } from './combine.js';
import { hasValue } from './values.js';

/** Without a `field`, in any of the fields that the query is for. */
export type Parsed =
  | { type: 'all' }
  | { type: 'words' | 'phrase' | 'prefix'; field: string | undefined; text: string }
  | { type: 'exists'; field: string }
  | { type: 'range'; field: string; bounds: Readonly<Record<string, string>> }
  | { type: 'group'; must: readonly Parsed[]; should: readonly Parsed[]; mustNot: readonly Parsed[] }
  | { type: 'boosted'; of: Parsed; boost: number };

const DEEPEST = 20;

/** @param context of the text; pointers do not reach into it */
export function compileParsed(parsed: Parsed, fields: readonly BoostedField[], context: Context): Compiled {
  const { depth, pointer } = context;
  if (depth > DEEPEST) refuse(pointer, `A query may be ${DEEPEST} levels deep.`);
  countClauses(context);
  const inner = { ...context, depth: depth + 1 };
  const compileEach = (each: readonly Parsed[]) => each.map((one) => compileParsed(one, fields, inner));
  switch (parsed.type) {
    case 'all':
      return ALL;
    case 'exists':
      return hasValue(parsed.field, inner);
    case 'range':
      return compileRange({ [parsed.field]: parsed.bounds }, inner);
    case 'boosted':
      return boosted(compileParsed(parsed.of, fields, inner), parsed.boost);
    case 'group': {
      const required = compileEach(parsed.must);
      const should = compileEach(parsed.should);
      const minimum = Number(required.length === 0 && should.length > 0);
      return all([...required, atLeast(minimum, should), ...compileEach(parsed.mustNot).map(not)]);
    }
    case 'words':
    case 'phrase':
    case 'prefix': {
      const { type, field, text } = parsed;
      const matchIn = (one: Field): Compiled => {
        if (type === 'words') return matchWords(one, text, { type: 'all' }, inner);
        return type === 'phrase' ? matchPhrase(one, text, inner) : matchWordPrefix(one, text, inner);
      };
      return field === undefined ? inAnyField(fields, matchIn) : matchIn(fieldOf(field, inner));
    }
  }
}

/** Reads a text from left to right. */
export interface Scanner {
  /** What the pattern matches here, and goes on behind it. Patterns are sticky. */
  take(pattern: RegExp): RegExpExecArray | undefined;
  isAtEnd(): boolean;
  /** @throws {ProblemError} `query-not-supported`, with the place in the text */
  fail(detail: string): never;
}

export function scan(text: string, { pointer }: Context): Scanner {
  let position = 0;
  return {
    take(pattern) {
      const sticky = new RegExp(pattern.source, 'uy');
      sticky.lastIndex = position;
      const found = sticky.exec(text) ?? undefined;
      position += found?.[0].length ?? 0;
      return found;
    },
    isAtEnd: () => position === text.length,
    fail: (detail) => refuse(pointer, `At character ${position + 1}: ${detail}`),
  };
}

/** A backslash makes the next character one like any other. */
export const unescapeText = (text: string): string => text.replace(/\\(.)/gsu, '$1');
