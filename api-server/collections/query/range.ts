/**
 * `range`: a field of the metadata, or one value of a list, lies within bounds. Where the value and the bound are both
 * numbers, or texts that read as numbers, they are compared as numbers; else by their UTF-8 bytes, which puts ISO dates in order.
 * A date is as long as its bound: 1899-12-31 is not after 1899, as in Elasticsearch.
 */
import { escapePointer } from '../../http/request-body.js';
import { knownFields, onlyEntry, refuse, type Binding, type Condition, type QueryNode } from './query-node.js';
import { PLAIN_NUMBER } from './term.js';

const OPERATORS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
/** PLAIN_NUMBER for PostgreSQL, without a question mark: that is a placeholder. */
const SQL_NUMBER = '^-{0,1}(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15}){0,1}$';
const PARTIAL_DATE = /^\d{4}(-\d{2}){0,2}$/;

export function compileRange(content: QueryNode, pointer: string): Condition {
  const [field, inner] = onlyEntry(content, pointer, 'a field, such as {"year": {"gte": 1900}}');
  const fieldPointer = `${pointer}/${escapePointer(field)}`;
  const bounds = knownFields(inner, fieldPointer, [...Object.keys(OPERATORS), 'boost']);
  const conditions = Object.entries(OPERATORS).flatMap(([name, operator]) => {
    const bound = bounds[name];
    if (bound === undefined) return [];
    if (typeof bound !== 'string' && typeof bound !== 'number') {
      return refuse(`${fieldPointer}/${name}`, 'A bound is a text or a number.');
    }
    return [compare(operator, bound)];
  });
  if (conditions.length === 0) return refuse(fieldPointer, 'A range needs gt, gte, lt or lte.');
  const [source, binding]: [string, Binding[]] =
    field === 'ref' ? ['to_jsonb(d.ref)', []] : ['d.metadata -> ?::text', [field]];
  return {
    sql: `exists (
      select 1
      from (select ${source} as found) as field,
        lateral jsonb_array_elements(
          case jsonb_typeof(found) when 'array' then found else jsonb_build_array(found) end
        ) as element,
        lateral (select element #>> '{}' as text) as value
      where jsonb_typeof(element) in ('string', 'number')
        and ${conditions.map(({ sql }) => sql).join(' and ')})`,
    bindings: [...binding, ...conditions.flatMap(({ bindings }) => bindings)],
  };
}

/** CASE, not AND: the planner may turn the order of an AND round, and cast a text that is no number. */
function compare(operator: string, bound: string | number): Condition {
  const text = String(bound);
  const asText = compareTexts(operator, text);
  if (typeof bound === 'string' && !PLAIN_NUMBER.test(bound)) return asText;
  return {
    sql: `case when jsonb_typeof(element) = 'number' or text ~ '${SQL_NUMBER}'
      then text::numeric ${operator} ?::numeric else ${asText.sql} end`,
    bindings: [text, ...asText.bindings],
  };
}

function compareTexts(operator: string, bound: string): Condition {
  if (!PARTIAL_DATE.test(bound)) return { sql: `text collate "C" ${operator} ?`, bindings: [bound] };
  return {
    sql: `(case when left(text, ?::int) = ? and substr(text, ?::int, 1) in ('-', 'T') then ? else text end) collate "C" ${operator} ?`,
    bindings: [bound.length, bound, bound.length + 1, bound, bound],
  };
}
