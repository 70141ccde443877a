/** Values that fit a JSON Schema of openapi.yaml, and values that were made wrong. */
import fc from 'fast-check';
import { resolve } from '../contract-operations.js';

export interface Schema {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  oneOf?: Schema[];
  anyOf?: Schema[];
  allOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  maxProperties?: number;
  items?: Schema;
  minItems?: number;
  maxItems?: number;
  pattern?: string;
  minLength?: number;
  maxLength?: number;
  minimum?: number;
  maximum?: number;
}

/** How long what is generated gets, where the schema allows more. */
const SOME = 5;

/**
 * Values that a schema lets through, by the keywords that openapi.yaml uses.
 * @param known arbitraries for schemas that say less than is needed, such as a query: by the name of their definition
 */
export function fitting(
  given: Schema,
  known: Readonly<Record<string, fc.Arbitrary<unknown>>> = {},
): fc.Arbitrary<unknown> {
  const name = given.$ref?.split('/').at(-1) ?? '';
  const special = known[name];
  if (special !== undefined) return special;
  const schema = resolve(given);
  const of = (inner: Schema) => fitting(inner, known);
  if (schema.const !== undefined) return fc.constant(schema.const);
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  const { oneOf, anyOf, ...rest } = schema;
  const choices = oneOf ?? anyOf;
  // Alternatives beside properties only say which of these are required.
  if (choices !== undefined) return fc.oneof(...choices.map((choice) => of(merge([rest, resolve(choice)]))));
  if (schema.allOf !== undefined) return of(merge(schema.allOf.map((part) => resolve(part))));
  const types = Array.isArray(schema.type) ? schema.type : [schema.type ?? (schema.properties ? 'object' : 'any')];
  return fc.oneof(...types.map((type) => ofType(type, schema, of)));
}

function ofType(type: string, schema: Schema, of: (inner: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { minimum = -1_000, maximum = 1_000_000 } = schema;
  switch (type) {
    case 'string':
      return schema.pattern === undefined
        ? fc.string({
            unit: 'grapheme',
            minLength: schema.minLength ?? 0,
            maxLength: Math.min(schema.maxLength ?? 40, 40),
          })
        : fc.stringMatching(new RegExp(schema.pattern));
    case 'integer':
      return fc.integer({ min: Math.max(minimum, -1e9), max: Math.min(maximum, 1e9) });
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true });
    case 'boolean':
      return fc.boolean();
    case 'null':
      return fc.constant(null);
    case 'array': {
      const { minItems = 0, maxItems = SOME, items = {} } = schema;
      return fc.array(of(items), { minLength: minItems, maxLength: Math.min(maxItems, minItems + SOME) });
    }
    case 'object':
      return ofObject(schema, of);
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function ofObject(schema: Schema, of: (inner: Schema) => fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const { properties = {}, required = [], additionalProperties } = schema;
  const requiredKeys = required.filter((name) => properties[name] !== undefined);
  const named = fc.record(Object.fromEntries(Object.entries(properties).map(([name, inner]) => [name, of(inner)])), {
    requiredKeys,
  });
  if (typeof additionalProperties !== 'object') return named;
  const more = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), of(additionalProperties), {
    maxKeys: Math.min(schema.maxProperties ?? SOME, SOME),
  });
  return fc.tuple(named, more).map(([one, other]) => ({ ...other, ...(one as object) }));
}

function merge(parts: Schema[]): Schema {
  return parts.reduce((whole, part) => ({
    ...whole,
    ...part,
    properties: { ...whole.properties, ...part.properties },
    required: [...(whole.required ?? []), ...(part.required ?? [])],
  }));
}

/** Texts that have broken programs before. */
export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    '',
    ' ',
    '0',
    '-1',
    '00',
    '1e9',
    '9999999999999999999',
    'null',
    'undefined',
    '__proto__',
    'constructor',
    '../../etc/passwd',
    '..%2f..%2f',
    "' or 1=1 --",
    '"; drop table docsets; --',
    '%00',
    '\0',
    '\ud800',
    '\u202e\ufeff',
    '<script>alert(1)</script>',
    '${7*7}',
    '{{7*7}}',
    '?? ? :name',
    '\\',
    '\\u0000',
    '(((((((((((',
    'a'.repeat(5_000),
    '🙂'.repeat(300),
    'NaN',
    '2026-02-31',
    '* AND [ TO }',
    '"unclosed',
  ),
  fc.string({ unit: 'binary', maxLength: 30 }),
  fc.string({ maxLength: 30 }),
);

const hostileValue: fc.Arbitrary<unknown> = fc.oneof(
  hostileText,
  fc.constantFrom<unknown>(null, true, 0, -1, 1.5, 1e308, Number.MAX_SAFE_INTEGER, -0, [], {}, [[]], [null], {
    '': {},
  }),
  fc.constant(null).map(() => nest(30)),
  fc.constant(null).map(() => nest(150)),
  fc.jsonValue({ maxDepth: 2 }),
);

const nest = (levels: number): unknown => (levels === 0 ? {} : { bool: { must: [nest(levels - 1)] } });

/** The same value with one place in it made wrong: replaced, left out, or given company. */
export function mutated(original: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  const change = fc.record({
    at: fc.nat(),
    kind: fc.constantFrom('replace', 'remove', 'add'),
    value: hostileValue,
    name: hostileText,
  });
  return fc.tuple(original, change).map(([value, { at, ...wrong }]) => {
    const paths = pathsIn(value);
    return changeAt(value, paths[at % paths.length] ?? [], wrong);
  });
}

type Path = readonly string[];

function pathsIn(value: unknown, path: Path = []): Path[] {
  if (typeof value !== 'object' || value === null || path.length > 6) return [path];
  return [path, ...Object.entries(value).flatMap(([key, child]) => pathsIn(child, [...path, key]))];
}

function changeAt(value: unknown, path: Path, wrong: { kind: string; value: unknown; name: string }): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object' || value === null) {
    return wrong.kind === 'add' && typeof value === 'object' && value !== null && !Array.isArray(value)
      ? { ...value, [wrong.name]: wrong.value }
      : wrong.value;
  }
  const entries = Object.entries(value as Record<string, unknown>).flatMap(([name, child]): [string, unknown][] => {
    if (name !== key) return [[name, child]];
    return rest.length === 0 && wrong.kind === 'remove' ? [] : [[name, changeAt(child, rest, wrong)]];
  });
  return Array.isArray(value) ? entries.map(([, child]) => child) : Object.fromEntries(entries);
}
