/** Queries: trees of the clauses that are supported, with words and fields that are there and that are not. */
import fc from 'fast-check';
import { hostileText } from './schema-arbitrary.js';

const word = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom('apple', 'pear', 'peace', 'civil war', 'the', '1850', 'Ünïcode') },
  { weight: 1, arbitrary: hostileText },
);
const field = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('title', 'text', 'year', 'ref', 'date', 'creator', 'tags') },
  { weight: 1, arbitrary: hostileText },
);
const value = fc.oneof(word, fc.integer({ min: -5, max: 2_100 }), fc.boolean(), fc.constant(null), fc.double());
const boost = fc.option(fc.double({ min: 0, max: 10, noNaN: true }), { nil: undefined });
const on = (inner: fc.Arbitrary<unknown>) => fc.tuple(field, inner).map(([name, given]) => ({ [name]: given }));
const operator = fc.constantFrom('and', 'or', 'AND', 'xor');
const minimum = fc.constantFrom<unknown>(0, 1, -1, 7, '75%', '-25%', '2<75%', 'all');

const syntax = fc
  .array(
    fc.oneof(
      word,
      fc.constantFrom(
        'AND',
        'OR',
        'NOT',
        '&&',
        '(',
        ')',
        '"',
        '+',
        '-',
        '*',
        '~2',
        '^3',
        '[1 TO 5]',
        '{1 TO *}',
        ':',
        '|',
        '/x/',
      ),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(' '));

export const query: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 1, arbitrary: fc.oneof(word, syntax) },
  {
    weight: 3,
    arbitrary: fc.letrec<{ clause: unknown; clauses: unknown }>((tie) => ({
      clause: fc.oneof(
        { maxDepth: 4, withCrossShrink: true },
        fc.constant({ match_all: {} }),
        on(
          fc.oneof(
            word,
            fc.record({ query: word, operator, minimum_should_match: minimum, boost }, { requiredKeys: [] }),
          ),
        ).map((match) => ({ match })),
        on(fc.oneof(word, fc.record({ query: word, slop: fc.nat(2) }, { requiredKeys: ['query'] }))).map((phrase) => ({
          match_phrase: phrase,
        })),
        fc
          .record(
            {
              query: word,
              fields: fc.array(fc.oneof(field, fc.constant('title^2')), { maxLength: 3 }),
              type: fc.constantFrom('best_fields', 'phrase', 'x'),
            },
            { requiredKeys: ['query'] },
          )
          .map((multi) => ({ multi_match: multi })),
        fc
          .record(
            { query: syntax, default_field: field, default_operator: operator, fields: fc.array(field) },
            { requiredKeys: ['query'] },
          )
          .map((given) => ({ query_string: given })),
        fc
          .record({ query: syntax, fields: fc.array(field), default_operator: operator }, { requiredKeys: ['query'] })
          .map((given) => ({ simple_query_string: given })),
        on(fc.oneof(value, fc.record({ value, boost }, { requiredKeys: [] }))).map((term) => ({ term })),
        on(fc.array(value, { maxLength: 4 })).map((terms) => ({ terms })),
        on(fc.record({ gte: value, lt: value, gt: value, lte: value }, { requiredKeys: [] })).map((range) => ({
          range,
        })),
        fc.record({ field }).map((exists) => ({ exists })),
        fc.record({ values: fc.array(value, { maxLength: 3 }) }).map((ids) => ({ ids })),
        on(word).map((prefix) => ({ prefix })),
        fc
          .record({ filter: tie('clauses'), boost }, { requiredKeys: ['filter'] })
          .map((given) => ({ constant_score: given })),
        fc
          .record(
            {
              must: tie('clauses'),
              filter: tie('clauses'),
              should: tie('clauses'),
              must_not: tie('clauses'),
              minimum_should_match: minimum,
            },
            { requiredKeys: [] },
          )
          .map((bool) => ({ bool })),
      ),
      clauses: fc.oneof({ maxDepth: 4 }, tie('clause'), fc.array(tie('clause'), { maxLength: 3 })),
    })).clause,
  },
);
