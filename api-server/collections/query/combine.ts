/** What clauses are when they stand together. */
import { join, plain, type Compiled, type Condition } from './query-node.js';

export const ALL: Compiled = plain('true');

const meritsOf = (clauses: readonly Compiled[]): Pick<Compiled, 'scores' | 'marks'> => ({
  scores: clauses.flatMap(({ scores }) => scores),
  marks: clauses.flatMap(({ marks }) => marks),
});

export function all(clauses: readonly Compiled[]): Compiled {
  if (clauses.length === 0) return ALL;
  return { ...join(clauses, ' and '), ...meritsOf(clauses) };
}

export const not = ({ sql, bindings }: Condition): Compiled => plain(`not (${sql})`, bindings);

/** Decides which documents there are, and not in which order. */
export const withoutScore = (clause: Compiled): Compiled => ({ ...clause, scores: [] });

export function boosted(clause: Compiled, boost: number): Compiled {
  if (boost === 1) return clause;
  const scores = clause.scores.map(({ sql, bindings }) => ({
    sql: `(${sql}) * ?::float8`,
    bindings: [...bindings, boost],
  }));
  return { ...clause, scores };
}

/** With none required they may all be missing, and still count for the order. */
export function atLeast(minimum: number, clauses: readonly Compiled[]): Compiled {
  const merits = meritsOf(clauses);
  if (minimum <= 0) return { ...ALL, ...merits };
  if (minimum > clauses.length) return plain('false');
  if (minimum === 1) return { ...join(clauses, ' or '), ...merits };
  const numbers = clauses.map(({ sql, bindings }) => ({ sql: `(${sql})::int`, bindings }));
  const { sql, bindings } = join(numbers, ' + ');
  return { sql: `${sql} >= ?::int`, bindings: [...bindings, minimum], ...merits };
}
