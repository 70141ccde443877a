/**
 * Compiles a query into an SQL condition on `documents d`, with placeholders for everything that came from outside. What is
 * not supported is refused with a pointer to it, never ignored. Conditions are never NULL, so that NOT is a complement.
 */
import { escapePointer } from '../../http/request-body.js';
import { knownFields, onlyEntry, refuse, type Condition, type QueryNode } from './query-node.js';
import { compileRange } from './range.js';
import { compileTerm } from './term.js';

interface Context {
  /** JSON pointer to the node in the body. */
  pointer: string;
  depth: number;
  /** Counts clauses over the whole query. */
  clauses: { count: number };
}

const DEEPEST = 20;
const MOST_CLAUSES = 500;
const LONGEST_TEXT = 1_000;

const ALL: Condition = { sql: 'true', bindings: [] };

/**
 * @param language text search configuration of the collection
 * @throws {ProblemError} `query-not-supported`
 */
export function compileQuery(query: QueryNode, language: string, pointer = '/query'): Condition {
  if (typeof query === 'string') return compileText(query, language, pointer);
  return compileNode(query, { pointer, depth: 0, clauses: { count: 0 } });
}

/** Web search syntax: words, "phrases", or, -not. */
function compileText(text: string, language: string, pointer: string): Condition {
  if (text.trim() === '') refuse(pointer, 'The text to search for is empty.');
  if (text.length > LONGEST_TEXT) refuse(pointer, `A text may have ${LONGEST_TEXT} characters.`);
  return { sql: 'd.tsv @@ websearch_to_tsquery(?::regconfig, ?)', bindings: [language, text] };
}

function compileNode(node: QueryNode, context: Context): Condition {
  const { pointer, depth, clauses } = context;
  if (depth > DEEPEST) refuse(pointer, `A query may be ${DEEPEST} levels deep.`);
  clauses.count += 1;
  if (clauses.count > MOST_CLAUSES) refuse(pointer, `A query may have ${MOST_CLAUSES} clauses.`);
  const [clause, content] = onlyEntry(node, pointer, 'a clause, such as {"match_all": {}}');
  const inner = { ...context, pointer: `${pointer}/${escapePointer(clause)}`, depth: depth + 1 };
  switch (clause) {
    case 'match_all':
      return compileMatchAll(content, inner.pointer);
    case 'term':
      return compileTerm(content, inner.pointer);
    case 'range':
      return compileRange(content, inner.pointer);
    case 'bool':
      return compileBool(content, inner);
    case 'constant_score':
      return compileConstantScore(content, inner);
    default:
      return refuse(
        inner.pointer,
        `${JSON.stringify(clause)} is not supported; match_all, term, range, bool and constant_score are.`,
      );
  }
}

function compileMatchAll(content: QueryNode, pointer: string): Condition {
  knownFields(content, pointer, ['boost']);
  return ALL;
}

function compileConstantScore(content: QueryNode, context: Context): Condition {
  const fields = knownFields(content, context.pointer, ['filter', 'boost']);
  if (fields['filter'] === undefined) refuse(context.pointer, 'constant_score needs a filter.');
  return all(compileClauses(fields['filter'], { ...context, pointer: `${context.pointer}/filter` }));
}

function compileBool(content: QueryNode, context: Context): Condition {
  const known = ['must', 'filter', 'should', 'must_not', 'minimum_should_match', 'boost'];
  const fields = knownFields(content, context.pointer, known);
  const clausesOf = (name: string) =>
    fields[name] === undefined
      ? []
      : compileClauses(fields[name], { ...context, pointer: `${context.pointer}/${name}` });
  const required = [...clausesOf('must'), ...clausesOf('filter')];
  const should = clausesOf('should');
  const forbidden = clausesOf('must_not').map(not);
  const minimum = minimumOf(
    fields['minimum_should_match'],
    context.pointer,
    required.length === 0 && should.length > 0,
  );
  return all([...required, ...atLeast(minimum, should), ...forbidden]);
}

/** A list of clauses, or a single one without its brackets: clients send both. */
function compileClauses(content: QueryNode, context: Context): Condition[] {
  if (!Array.isArray(content)) return [compileNode(content, context)];
  return content.map((node: QueryNode, index) =>
    compileNode(node, { ...context, pointer: `${context.pointer}/${index}` }),
  );
}

/** Where nothing else is required, one of `should` is, unless the query says otherwise. */
function minimumOf(value: QueryNode, pointer: string, shouldIsAll: boolean): number {
  if (value === undefined) return shouldIsAll ? 1 : 0;
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MOST_CLAUSES) {
    refuse(`${pointer}/minimum_should_match`, 'minimum_should_match is a whole number, not negative.');
  }
  return value;
}

function atLeast(minimum: number, conditions: Condition[]): Condition[] {
  if (minimum === 0) return [];
  if (minimum > conditions.length) return [{ sql: 'false', bindings: [] }];
  const terms =
    minimum === 1 ? conditions : conditions.map(({ sql, bindings }) => ({ sql: `(${sql})::int`, bindings }));
  const sql = terms.map((term) => `(${term.sql})`).join(minimum === 1 ? ' or ' : ' + ');
  return [
    {
      sql: minimum === 1 ? sql : `${sql} >= ?::int`,
      bindings: [...terms.flatMap((term) => term.bindings), ...(minimum === 1 ? [] : [minimum])],
    },
  ];
}

function all(conditions: Condition[]): Condition {
  if (conditions.length === 0) return ALL;
  return {
    sql: conditions.map(({ sql }) => `(${sql})`).join(' and '),
    bindings: conditions.flatMap(({ bindings }) => bindings),
  };
}

const not = ({ sql, bindings }: Condition): Condition => ({ sql: `not (${sql})`, bindings });
