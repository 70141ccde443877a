/** `exists` and `prefix`: that a field has a value, and how it begins. */
import { prefixDsl, valueDsl, withoutScoreDsl } from './dsl.js';
import { anyValue, fieldOf, textOf, valueField } from './fields.js';
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

/** The format that the text of a document is in. */
const TEXT = 'txt';
const HAS_TEXT = withoutScoreDsl({ term: { has_text: true } });

export function compileExists(content: QueryNode, context: Context): Compiled {
  const options = knownOptions(content, context, ['field', 'boost']);
  boostOf(options, context);
  const { field } = options;
  const at = below(context, 'field');
  if (typeof field !== 'string') return refuse(at.pointer, 'Here should be the name of a field.');
  return hasValue(field, at);
}

/** As in Elasticsearch, null is no value, nor is a list of nothing else; an empty text is one. */
export function hasValue(name: string, context: Context): Compiled {
  const field = fieldOf(name, context);
  if (field.type === 'text') {
    return plain('exists (select 1 from files where files.document_id = d.id and files.format = ?)', [TEXT], HAS_TEXT);
  }
  const { sql, bindings } = anyValue(field, (found) => ({ sql: `jsonb_typeof(${found}) <> 'null'`, bindings: [] }));
  return plain(sql, bindings, valueDsl(field, []));
}

/** The whole value begins with this, in the same upper and lower case, as a `term` would be. */
export function compilePrefix(content: QueryNode, context: Context): Compiled {
  const [name, inner] = onlyEntry(content, context, 'a field, such as {"creator": "Wash"}');
  const at = below(context, name);
  const field = valueField(name, at);
  const options: Record<string, QueryNode> = isObject(inner)
    ? knownOptions(inner, at, ['value', 'boost'])
    : { value: inner };
  boostOf(options, at);
  const { value } = options;
  if (typeof value !== 'string') return refuse(at.pointer, 'A prefix is a text.');
  if (field.type === 'ref') return plain('starts_with(d.ref, ?)', [value], prefixDsl(field, value));
  const { sql, bindings } = anyValue(field, (found) => ({
    sql: `(jsonb_typeof(${found}) in ('string', 'number') and starts_with(${textOf(found)}, ?))`,
    bindings: [value],
  }));
  return plain(sql, bindings, prefixDsl(field, value));
}
