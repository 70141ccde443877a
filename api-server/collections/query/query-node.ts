/** What every clause of a query is made of, and becomes. */
import { ProblemError } from '../../http/problems.js';
import { escapePointer } from '../../http/request-body.js';
import type { Dsl } from './dsl.js';

/** A piece of SQL over `documents d`. Conditions are never NULL, so that NOT is a complement. */
export interface Condition {
  /** Every `?` in it is a placeholder. */
  sql: string;
  bindings: readonly Binding[];
}
export type Binding = string | number | boolean | string[];

export interface Compiled extends Condition {
  /** How much a document is about what was asked for: numbers (double precision) to be added. */
  scores: readonly Condition[];
  /** What to mark in a text: tsqueries. */
  marks: readonly Condition[];
  /** The same in the language of a search engine. */
  dsl: Dsl;
}

/** What of a collection matters to a query. */
export interface Searchable {
  /** Text search configuration. */
  language: string;
  /** Names of the metadata that there are. */
  fields: readonly string[];
  /** Where else there are values: the members of objects, and of objects in lists. */
  nested: readonly (readonly string[])[];
}

/** Where in the query the compiler is, and what it knows of the collection. */
export interface Context extends Searchable {
  /** JSON pointer to the node in the body. */
  pointer: string;
  /** True inside of a text, where pointers do not reach. */
  inText: boolean;
  depth: number;
  /** Counts clauses over the whole query. */
  clauses: { count: number };
}

/** JSON as it came. */
export type QueryNode = unknown;

const MOST_CLAUSES = 1_000;
const LONGEST_TEXT = 1_000;

/** @throws {ProblemError} `query-not-supported`, pointing to the clause */
export function refuse(pointer: string, detail: string): never {
  throw new ProblemError('query-not-supported', `${pointer}: ${detail}`, { errors: [{ pointer, detail }] });
}

export const contextAt = (pointer: string, { language, fields, nested }: Searchable): Context => ({
  ...{ pointer, language, fields, nested },
  ...{ inText: false, depth: 0, clauses: { count: 0 } },
});

/** The context of what is under these names in the node. */
export function below(context: Context, ...names: (string | number)[]): Context {
  if (context.inText) return context;
  return { ...context, pointer: [context.pointer, ...names.map((name) => escapePointer(String(name)))].join('/') };
}

/** A word costs as much as a clause. */
export function countClauses({ clauses, pointer }: Context, count = 1): void {
  clauses.count += count;
  if (clauses.count > MOST_CLAUSES) refuse(pointer, `A query may have ${MOST_CLAUSES} clauses and words.`);
}

/** The one entry of an object that names a clause or a field by its key. */
export function onlyEntry(node: QueryNode, { pointer }: Context, what: string): [string, QueryNode] {
  const [entry, ...others] = isObject(node) ? Object.entries(node) : [];
  if (entry === undefined || others.length > 0) refuse(pointer, `Here should be an object with one member: ${what}.`);
  return entry;
}

/** The members of an object, none of which is unknown. */
export function knownOptions(node: QueryNode, context: Context, known: readonly string[]): Record<string, QueryNode> {
  if (!isObject(node)) refuse(context.pointer, 'Here should be an object.');
  for (const name of Object.keys(node)) {
    if (!known.includes(name)) {
      refuse(below(context, name).pointer, `${JSON.stringify(name)} is not supported; ${known.join(', ')} are.`);
    }
  }
  return node;
}

/** `boost` changes no membership, only what a match counts for in the order of relevance. */
export function boostOf(options: Record<string, QueryNode>, context: Context): number {
  const { boost = 1 } = options;
  if (typeof boost !== 'number' || !Number.isFinite(boost) || boost < 0) {
    return refuse(below(context, 'boost').pointer, 'A boost is a number, not negative.');
  }
  return boost;
}

/** Text to search for. */
export function readText(node: QueryNode, { pointer }: Context): string {
  const text = typeof node === 'number' || typeof node === 'boolean' ? String(node) : node;
  if (typeof text !== 'string') return refuse(pointer, 'Here should be the text to search for.');
  if (text.trim() === '') refuse(pointer, 'The text to search for is empty.');
  if (text.length > LONGEST_TEXT) refuse(pointer, `A text may have ${LONGEST_TEXT} characters.`);
  return text;
}

export function isObject(node: QueryNode): node is Record<string, QueryNode> {
  return typeof node === 'object' && node !== null && !Array.isArray(node);
}

/** A condition that says nothing of relevance. */
export const plain = (sql: string, bindings: readonly Binding[], dsl: Dsl): Compiled => ({
  sql,
  bindings,
  dsl,
  scores: [],
  marks: [],
});

/** Pieces of SQL with something between them. */
export function join(conditions: readonly Condition[], between: string): Condition {
  return {
    sql: conditions.map(({ sql }) => `(${sql})`).join(between),
    bindings: conditions.flatMap(({ bindings }) => bindings),
  };
}
