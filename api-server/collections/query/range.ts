/**
 * `range`: a field of the metadata, or one value of a list, lies within bounds. Where the value and the bound are both
 * numbers, or texts that read as numbers, they are compared as numbers; else by their UTF-8 bytes, which puts ISO dates in order.
 * A date is as long as its bound: 1899-12-31 is not after 1899, as in Elasticsearch.
 */
import { boundDsl, valueDsl } from './dsl.js';
import { anyValue, textOf, valueField } from './fields.js';
import {
  below,
  boostOf,
  join,
  knownOptions,
  onlyEntry,
  plain,
  refuse,
  type Compiled,
  type Condition,
  type Context,
  type QueryNode,
} from './query-node.js';
import { PLAIN_NUMBER } from './term.js';

const OPERATORS = { gt: '>', gte: '>=', lt: '<', lte: '<=' } as const;
const RANGE_OPERATORS = ['gt', 'gte', 'lt', 'lte'] as const;
/** PLAIN_NUMBER for PostgreSQL, without a question mark: that is a placeholder. */
export const SQL_NUMBER = '^-{0,1}(0|[1-9][0-9]{0,14})(\\.[0-9]{1,15}){0,1}$';
const PARTIAL_DATE = /^\d{4}(-\d{2}){0,2}$/;
/** `now-1y`, `2020-01-01||/M`: taken as a text it would be compared with texts, and find the wrong documents. */
const DATE_MATH = /^now(?![a-z])|\|\|/;

export function compileRange(content: QueryNode, context: Context): Compiled {
  const [name, inner] = onlyEntry(content, context, 'a field, such as {"year": {"gte": 1900}}');
  const at = below(context, name);
  const field = valueField(name, at);
  const options = knownOptions(inner, at, [...Object.keys(OPERATORS), 'boost']);
  boostOf(options, at);
  const bounds = RANGE_OPERATORS.flatMap((option) => {
    const operator = OPERATORS[option];
    const bound = options[option];
    return bound === undefined ? [] : [{ option, operator, bound: readBound(bound, below(at, option)) }];
  });
  if (bounds.length === 0) return refuse(at.pointer, 'A range needs gt, gte, lt or lte.');
  const { sql, bindings } = anyValue(field, (found) => {
    const comparisons = bounds.map(({ operator, bound }) => compare(found, operator, bound));
    const within = join(comparisons, ' and ');
    return { sql: `(jsonb_typeof(${found}) in ('string', 'number') and ${within.sql})`, bindings: within.bindings };
  });
  const dsl = valueDsl(
    field,
    bounds.map(({ option, bound }) => {
      const text = String(bound);
      const isNumber = typeof bound === 'number' || PLAIN_NUMBER.test(bound);
      return boundDsl({ operator: option, text, isNumber, isDate: PARTIAL_DATE.test(text) });
    }),
  );
  return plain(sql, bindings, dsl);
}

function readBound(bound: QueryNode, { pointer }: Context): string | number {
  if (typeof bound !== 'string' && !Number.isFinite(bound)) return refuse(pointer, 'A bound is a text or a number.');
  if (DATE_MATH.test(String(bound))) return refuse(pointer, 'A bound is a date as it is; nothing is reckoned with it.');
  return bound as string | number;
}

/** CASE, not AND: the planner may turn the order of an AND round, and cast a text that is no number. */
function compare(found: string, operator: string, bound: string | number): Condition {
  const text = String(bound);
  const asText = compareTexts(textOf(found), operator, text);
  if (typeof bound === 'string' && !PLAIN_NUMBER.test(bound)) return asText;
  return {
    sql: `case when jsonb_typeof(${found}) = 'number' or ${textOf(found)} ~ '${SQL_NUMBER}'
      then ${textOf(found)}::numeric ${operator} ?::numeric else ${asText.sql} end`,
    bindings: [text, ...asText.bindings],
  };
}

function compareTexts(text: string, operator: string, bound: string): Condition {
  if (!PARTIAL_DATE.test(bound)) return { sql: `${text} collate "C" ${operator} ?`, bindings: [bound] };
  return {
    sql: `(case when left(${text}, ?::int) = ? and substr(${text}, ?::int, 1) in ('-', 'T') then ? else ${text} end)
      collate "C" ${operator} ?`,
    bindings: [bound.length, bound, bound.length + 1, bound, bound],
  };
}
