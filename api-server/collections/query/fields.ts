/** Fields that a query may name: those of the metadata, the `ref`, and the `text`. */
import { refuse, type Condition, type Context, type Searchable } from './query-node.js';

export type Field =
  /** The text of the document, with its title and creator. */
  { type: 'text' } | { type: 'ref' } | { type: 'metadata'; path: Path };

/** Where in the metadata a field is: the name of a member, then of a member of that object, or of those in that list, and so on. */
export type Path = readonly string[];

const MOST_TOLD = 50;

/** What a query may call them, in order. */
export const namesOf = ({ fields, nested }: Pick<Searchable, 'fields' | 'nested'>): string[] =>
  [...new Set([...fields, ...nested.map(nameOf)])].sort();

export const nameOf = (path: Path): string => path.join('.');

/**
 * A member of the metadata called `text` or `ref` is hidden by these, and `a.b` is the member of that name before it is `b` in
 * `a`.
 * @throws {ProblemError} `query-not-supported`, naming the fields that there are
 */
export function fieldOf(name: string, { pointer, fields, nested }: Context): Field {
  if (name === 'text' || name === 'ref') return { type: name };
  const path = fields.includes(name) ? [name] : nested.find((each) => nameOf(each) === name);
  if (path !== undefined) return { type: 'metadata', path };
  const known = ['text', 'ref', ...namesOf({ fields, nested })];
  const told = known.slice(0, MOST_TOLD).join(', ') + (known.length > MOST_TOLD ? ', …' : '');
  return refuse(pointer, `The collection has no field ${JSON.stringify(name)}. There are: ${told}.`);
}

/** A field with values that can be compared; a text is only searched. */
export function valueField(name: string, context: Context): Exclude<Field, { type: 'text' }> {
  const field = fieldOf(name, context);
  if (field.type !== 'text') return field;
  return refuse(context.pointer, 'The text is searched with match, match_phrase, multi_match or a query string.');
}

/** The value, as jsonb; NULL where there is none. Of a nested field the list of its values. */
export function jsonOf(field: Exclude<Field, { type: 'text' }>): Condition {
  if (field.type === 'ref') return { sql: 'to_jsonb(d.ref)', bindings: [] };
  const [name, ...rest] = field.path;
  if (rest.length === 0) return { sql: 'd.metadata -> ?::text', bindings: [String(name)] };
  return { sql: 'jsonb_path_query_array(d.metadata, ?::jsonpath)', bindings: [jsonPathOf(field.path)] };
}

/** As it is by default, lax: lists on the way are looked into, and what has no such member is passed over. */
export const jsonPathOf = (path: Path): string => `$${path.map((name) => `.${JSON.stringify(name)}`).join('')}[*]`;

/** For `from`: a row for each value that the field has, those of a list one by one, as jsonb `element` and as text `written`. */
export function elementsOf(field: Exclude<Field, { type: 'text' }>): Condition {
  const { sql, bindings } = jsonOf(field);
  return {
    sql: `lateral (select ${sql} as found) as field,
      lateral jsonb_array_elements(
        case jsonb_typeof(found) when 'array' then found else jsonb_build_array(found) end
      ) as element (element),
      lateral (select element #>> '{}' as written) as text`,
    bindings,
  };
}

/**
 * That a value of the field, or one of those of a list, passes the test. A value that is no list is looked at as it is: that
 * takes a sixth of the time.
 * @param test gets the name of the value, which is jsonb, and is never NULL where that is not
 */
export function anyValue(field: Exclude<Field, { type: 'text' }>, test: (value: string) => Condition): Condition {
  const found = jsonOf(field);
  const [ofElement, ofValue] = [test('element'), test('found')];
  return {
    sql: `coalesce((
      select case when jsonb_typeof(found) = 'array'
        then exists (select 1 from jsonb_array_elements(found) as each (element) where ${ofElement.sql})
        else ${ofValue.sql} end
      from (select ${found.sql} as found) as field), false)`,
    bindings: [...ofElement.bindings, ...ofValue.bindings, ...found.bindings],
  };
}

/** The value of jsonb as text. */
export const textOf = (value: string): string => `(${value} #>> '{}')`;
