/** What every clause of a query is made of, and becomes. */
import { ProblemError } from '../../http/problems.js';
import { escapePointer } from '../../http/request-body.js';

export interface Condition {
  /** Every `?` in it is a placeholder. */
  sql: string;
  bindings: readonly Binding[];
}
export type Binding = string | number | boolean;

/** JSON as it came. */
export type QueryNode = unknown;

/** @throws {ProblemError} `query-not-supported`, pointing to the clause */
export function refuse(pointer: string, detail: string): never {
  throw new ProblemError('query-not-supported', `${pointer}: ${detail}`, { errors: [{ pointer, detail }] });
}

/** The one entry of an object that names a clause or a field by its key. */
export function onlyEntry(node: QueryNode, pointer: string, what: string): [string, QueryNode] {
  const [entry, ...others] = isObject(node) ? Object.entries(node) : [];
  if (entry === undefined || others.length > 0) refuse(pointer, `Here should be an object with one member: ${what}.`);
  return entry;
}

/** The members of an object, none of which is unknown. `boost` changes no membership, so it may be there. */
export function knownFields(node: QueryNode, pointer: string, known: readonly string[]): Record<string, QueryNode> {
  if (!isObject(node)) refuse(pointer, 'Here should be an object.');
  for (const name of Object.keys(node)) {
    if (!known.includes(name)) {
      refuse(`${pointer}/${escapePointer(name)}`, `${JSON.stringify(name)} is not supported; ${known.join(', ')} are.`);
    }
  }
  if (node['boost'] !== undefined && typeof node['boost'] !== 'number')
    refuse(`${pointer}/boost`, 'boost is a number.');
  return node;
}

function isObject(node: QueryNode): node is Record<string, QueryNode> {
  return typeof node === 'object' && node !== null && !Array.isArray(node);
}
