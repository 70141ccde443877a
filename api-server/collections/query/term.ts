/** `term`, `terms`, `ids`: a field of the metadata is exactly this value, or one of these, or is a list that has it. */
import { isOneOfDsl, withoutScoreDsl } from './dsl.js';
import { jsonPathOf, valueField, type Field } from './fields.js';
import {
  below,
  boostOf,
  isObject,
  knownOptions,
  onlyEntry,
  plain,
  refuse,
  type Compiled,
  type Context,
  type QueryNode,
} from './query-node.js';

type Scalar = string | number | boolean;

/** A number as text may be told from one that only looks like it: `01` and `1e3` stay texts. */
export const PLAIN_NUMBER = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/;
const DOCUMENT_ID = /^[1-9]\d{0,17}$/;
const MOST_VALUES = 1_000;

export function compileTerm(content: QueryNode, context: Context): Compiled {
  const [name, inner] = onlyEntry(content, context, 'a field, such as {"year": 1900}');
  const at = below(context, name);
  const field = valueField(name, at);
  const options: Record<string, QueryNode> = isObject(inner)
    ? knownOptions(inner, at, ['value', 'boost'])
    : { value: inner };
  boostOf(options, at);
  const { value } = options;
  if (!isScalar(value)) return refuse(at.pointer, 'The value of a term is a text, a number, true or false.');
  return isOneOf(field, [value]);
}

export function compileTerms(content: QueryNode, context: Context): Compiled {
  const { boost, ...inner } = isObject(content) ? content : {};
  const [name, values] = onlyEntry(inner, context, 'a field, such as {"party": ["Whig", "Federalist"]}');
  boostOf({ ...(boost === undefined ? {} : { boost }) }, context);
  const at = below(context, name);
  const field = valueField(name, at);
  return isOneOf(
    field,
    readList(values, at).map((value, index) => {
      if (isScalar(value)) return value;
      return refuse(below(at, index).pointer, 'A value is a text, a number, true or false.');
    }),
  );
}

/** Ids of documents, as a search answers them. */
export function compileIds(content: QueryNode, context: Context): Compiled {
  const options = knownOptions(content, context, ['values', 'boost']);
  boostOf(options, context);
  const at = below(context, 'values');
  const ids = readList(options['values'], at).map((value, index) => {
    const text = typeof value === 'number' ? String(value) : value;
    if (typeof text === 'string' && DOCUMENT_ID.test(text)) return text;
    return refuse(
      below(at, index).pointer,
      'An id is the number of a document; for refs use terms with the field ref.',
    );
  });
  return plain('d.id = any(?::bigint[])', [ids], withoutScoreDsl({ ids: { values: ids } }));
}

function readList(node: QueryNode, { pointer }: Context): readonly QueryNode[] {
  if (!Array.isArray(node)) return refuse(pointer, 'Here should be a list of values.');
  if (node.length > MOST_VALUES) refuse(pointer, `A list may have ${MOST_VALUES} values.`);
  return node;
}

export function isOneOf(field: Exclude<Field, { type: 'text' }>, values: readonly Scalar[]): Compiled {
  if (field.type === 'ref') {
    const refs = values.map(String);
    return plain('d.ref = any(?::text[])', [refs], isOneOfDsl(field, refs));
  }
  const spelled = values.flatMap(spellings);
  const [name, ...rest] = field.path;
  if (rest.length > 0) return isNestedOneOf(field, spelled);
  const patterns = spelled.flatMap((spelling) => [{ [String(name)]: spelling }, { [String(name)]: [spelling] }]);
  // An ANY is one scan of the index for each pattern, as OR would be, and one placeholder for all.
  return plain(
    'd.metadata @> any(?::text[]::jsonb[])',
    [patterns.map((pattern) => JSON.stringify(pattern))],
    isOneOfDsl(field, spelled),
  );
}

type MetadataField = Extract<Field, { type: 'metadata' }>;

/** The index answers this, too, whatever lists and objects are on the way. */
function isNestedOneOf(field: MetadataField, spelled: readonly Scalar[]): Compiled {
  const dsl = isOneOfDsl(field, spelled);
  if (spelled.length === 0) return plain('false', [], dsl);
  const equal = spelled.map((spelling) => `@ == ${JSON.stringify(spelling)}`);
  return plain('d.metadata @@ ?::jsonpath', [`exists(${jsonPathOf(field.path)} ? (${equal.join(' || ')}))`], dsl);
}

/** Clients send numbers as texts and the other way round; the index of the first Adit did not mind. */
function spellings(value: Scalar): Scalar[] {
  if (typeof value === 'string') {
    if (PLAIN_NUMBER.test(value)) return [value, Number(value)];
    return value === 'true' || value === 'false' ? [value, value === 'true'] : [value];
  }
  return [value, String(value)];
}

function isScalar(value: QueryNode): value is Scalar {
  // 1e999 is JSON, and reads as infinity, which no document can hold.
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
