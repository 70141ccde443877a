/** `term`: a field of the metadata is exactly this value, or is a list that has it. */
import { escapePointer } from '../../http/request-body.js';
import { knownFields, onlyEntry, refuse, type Binding, type Condition, type QueryNode } from './query-node.js';

/** A number as text may be told from one that only looks like it: `01` and `1e3` stay texts. */
export const PLAIN_NUMBER = /^-?(0|[1-9]\d{0,14})(\.\d{1,15})?$/;

export function compileTerm(content: QueryNode, pointer: string): Condition {
  const [field, inner] = onlyEntry(content, pointer, 'a field, such as {"year": 1900}');
  const fieldPointer = `${pointer}/${escapePointer(field)}`;
  const value =
    typeof inner === 'object' && inner !== null ? knownFields(inner, fieldPointer, ['value', 'boost'])['value'] : inner;
  if (!isScalar(value)) return refuse(fieldPointer, 'The value of a term is a text, a number, true or false.');
  if (field === 'ref') return { sql: 'd.ref = ?', bindings: [String(value)] };
  const patterns = spellings(value).flatMap((spelling) => [{ [field]: spelling }, { [field]: [spelling] }]);
  return {
    sql: patterns.map(() => 'd.metadata @> ?::jsonb').join(' or '),
    bindings: patterns.map((pattern) => JSON.stringify(pattern)),
  };
}

/** Clients send numbers as texts and the other way round; the index of the first Adit did not mind. */
function spellings(value: Binding): Binding[] {
  if (typeof value === 'string') {
    if (PLAIN_NUMBER.test(value)) return [value, Number(value)];
    return value === 'true' || value === 'false' ? [value, value === 'true'] : [value];
  }
  return [value, String(value)];
}

function isScalar(value: QueryNode): value is Binding {
  // 1e999 is JSON, and reads as infinity, which no document can hold.
  return typeof value === 'string' || typeof value === 'boolean' || Number.isFinite(value);
}
