/** What clauses are when they stand together. */
import { EVERYTHING, NOTHING, allDsl, atLeastDsl, boostedDsl, notDsl, withoutScoreDsl, type Dsl } from './dsl.js';
import { join, plain, type Compiled } from './query-node.js';

export const ALL: Compiled = plain('true', [], EVERYTHING);

const meritsOf = (clauses: readonly Compiled[]): Pick<Compiled, 'scores' | 'marks'> => ({
  scores: clauses.flatMap(({ scores }) => scores),
  marks: clauses.flatMap(({ marks }) => marks),
});

const dslOf = (clauses: readonly Compiled[]): Dsl[] => clauses.map(({ dsl }) => dsl);

export function all(clauses: readonly Compiled[]): Compiled {
  if (clauses.length === 0) return ALL;
  return { ...join(clauses, ' and '), ...meritsOf(clauses), dsl: allDsl(dslOf(clauses)) };
}

export const not = ({ sql, bindings, dsl }: Compiled): Compiled => plain(`not (${sql})`, bindings, notDsl(dsl));

/** Decides which documents there are, and not in which order. */
export const withoutScore = (clause: Compiled): Compiled => ({
  ...clause,
  scores: [],
  dsl: withoutScoreDsl(clause.dsl),
});

export function boosted(clause: Compiled, boost: number): Compiled {
  if (boost === 1) return clause;
  const scores = clause.scores.map(({ sql, bindings }) => ({
    sql: `(${sql}) * ?::float8`,
    bindings: [...bindings, boost],
  }));
  return { ...clause, scores, dsl: boostedDsl(clause.dsl, boost) };
}

/** With none required they may all be missing, and still count for the order. */
export function atLeast(minimum: number, clauses: readonly Compiled[]): Compiled {
  const merits = { ...meritsOf(clauses), dsl: atLeastDsl(minimum, dslOf(clauses)) };
  if (minimum <= 0) return { ...ALL, ...merits };
  if (minimum > clauses.length) return plain('false', [], NOTHING);
  if (minimum === 1) return { ...join(clauses, ' or '), ...merits };
  const numbers = clauses.map(({ sql, bindings }) => ({ sql: `(${sql})::int`, bindings }));
  const { sql, bindings } = join(numbers, ' + ');
  return { sql: `${sql} >= ?::int`, bindings: [...bindings, minimum], ...merits };
}
