/**
 * Compiles a query into an SQL condition on `documents d`, with placeholders for everything that came from outside. What is
 * not supported is refused with a pointer to it, never ignored.
 */
import { ALL, all, atLeast, boosted, not, withoutScore } from './combine.js';
import { compileMatch, compileMatchPhrase, compileMultiMatch, matchWebSearch } from './match.js';
import { minimumOf, readMinimum } from './minimum.js';
import { compileQueryString } from './query-string.js';
import {
  below,
  boostOf,
  contextAt,
  countClauses,
  knownOptions,
  onlyEntry,
  readText,
  refuse,
  type Compiled,
  type Context,
  type QueryNode,
  type Searchable,
} from './query-node.js';
import { compileRange } from './range.js';
import { compileSimpleQueryString } from './simple-query-string.js';
import { compileIds, compileTerm, compileTerms } from './term.js';
import { compileExists, compilePrefix } from './values.js';

const DEEPEST = 20;

type Compile = (content: QueryNode, context: Context) => Compiled;

const CLAUSES: Readonly<Record<string, Compile>> = {
  match_all: compileMatchAll,
  match: compileMatch,
  match_phrase: compileMatchPhrase,
  multi_match: compileMultiMatch,
  query_string: compileQueryString,
  simple_query_string: compileSimpleQueryString,
  term: compileTerm,
  terms: compileTerms,
  range: compileRange,
  exists: compileExists,
  ids: compileIds,
  prefix: compilePrefix,
  bool: compileBool,
  constant_score: compileConstantScore,
};

/** @throws {ProblemError} `query-not-supported` */
export function compileQuery(query: QueryNode, searchable: Searchable, pointer = '/query'): Compiled {
  return compileNode(query, contextAt(pointer, searchable));
}

function compileNode(node: QueryNode, context: Context): Compiled {
  if (context.depth > DEEPEST) refuse(context.pointer, `A query may be ${DEEPEST} levels deep.`);
  // As for a web search; it may stand wherever a clause may.
  if (typeof node === 'string') return matchWebSearch(readText(node, context), context);
  countClauses(context);
  const [name, content] = onlyEntry(node, context, 'a clause, such as {"match_all": {}}');
  const inner = { ...below(context, name), depth: context.depth + 1 };
  const compile = Object.hasOwn(CLAUSES, name) ? CLAUSES[name] : undefined;
  if (compile !== undefined) return compile(content, inner);
  const known = Object.keys(CLAUSES).join(', ');
  return refuse(inner.pointer, `${JSON.stringify(name)} is not supported; these are: ${known}.`);
}

function compileMatchAll(content: QueryNode, context: Context): Compiled {
  boostOf(knownOptions(content, context, ['boost']), context);
  return ALL;
}

function compileConstantScore(content: QueryNode, context: Context): Compiled {
  const options = knownOptions(content, context, ['filter', 'boost']);
  boostOf(options, context);
  const { filter } = options;
  if (filter === undefined) refuse(context.pointer, 'constant_score needs a filter.');
  return withoutScore(all(compileClauses(filter, below(context, 'filter'))));
}

function compileBool(content: QueryNode, context: Context): Compiled {
  const known = ['must', 'filter', 'should', 'must_not', 'minimum_should_match', 'boost'];
  const options = knownOptions(content, context, known);
  const clausesOf = (name: string): Compiled[] =>
    options[name] === undefined ? [] : compileClauses(options[name], below(context, name));
  const required = [...clausesOf('must'), ...clausesOf('filter').map(withoutScore)];
  const should = clausesOf('should');
  const forbidden = clausesOf('must_not').map(not);
  // Where nothing else is required, one of `should` is, unless the query says otherwise.
  const minimum =
    options['minimum_should_match'] === undefined
      ? Number(required.length === 0 && should.length > 0)
      : minimumOf(readMinimum(options['minimum_should_match'], below(context, 'minimum_should_match')), should.length);
  return boosted(all([...required, atLeast(minimum, should), ...forbidden]), boostOf(options, context));
}

/** A list of clauses, or a single one without its brackets: clients send both. */
function compileClauses(content: QueryNode, context: Context): Compiled[] {
  if (!Array.isArray(content)) return [compileNode(content, context)];
  return content.map((node: QueryNode, index) => compileNode(node, below(context, index)));
}
