/** `match`, `match_phrase`, `multi_match`: words of the text, or of a field of the metadata, as the language's rules cut them. */
import { atLeast, boosted } from './combine.js';
import {
  allWordsDsl,
  anyWordDsl,
  minimumWordsDsl,
  phraseDsl,
  prefixDsl,
  webSearchDsl,
  wordPrefixDsl,
  type Dsl,
} from './dsl.js';
import { fieldOf, jsonOf, type Field } from './fields.js';
import { minimumOf, readMinimum, type Minimum } from './minimum.js';
import {
  below,
  boostOf,
  countClauses,
  isObject,
  join,
  knownOptions,
  onlyEntry,
  plain,
  readText,
  refuse,
  type Compiled,
  type Condition,
  type Context,
  type QueryNode,
} from './query-node.js';
import { isOneOf } from './term.js';

/** How many of the words there have to be. */
export type Demand = { type: 'all' } | { type: 'any' } | { type: 'minimum'; minimum: Minimum };

/** How much of a field of the metadata is searched: a vector may have 1 MiB, and must never be larger. Characters. */
export const SEARCHED_METADATA = 100_000;
/** What of the metadata has words. */
export const WORDY = '["string", "numeric", "boolean"]';

export function compileMatch(content: QueryNode, context: Context): Compiled {
  const { field, text, options, at } = readField(content, context, ['operator', 'minimum_should_match']);
  return boosted(matchWords(field, text, readDemand(options, at), context), boostOf(options, at));
}

export function compileMatchPhrase(content: QueryNode, context: Context): Compiled {
  const { field, text, options, at } = readField(content, context, ['slop']);
  const { slop = 0 } = options;
  if (slop !== 0) refuse(below(at, 'slop').pointer, 'The words of a phrase stand next to each other: slop is 0.');
  return boosted(matchPhrase(field, text, context), boostOf(options, at));
}

export function compileMultiMatch(content: QueryNode, context: Context): Compiled {
  const known = ['query', 'fields', 'type', 'operator', 'minimum_should_match', 'boost'];
  const options = knownOptions(content, context, known);
  const { type = 'best_fields' } = options;
  const text = readText(options['query'], below(context, 'query'));
  const fields = readFields(options['fields'], below(context, 'fields'));
  const demand = readDemand(options, context);
  if (type !== 'best_fields' && type !== 'most_fields' && type !== 'phrase') {
    refuse(below(context, 'type').pointer, 'The type is best_fields, most_fields or phrase.');
  }
  if (type === 'phrase' && demand.type === 'minimum') {
    refuse(below(context, 'minimum_should_match').pointer, 'A phrase has all its words.');
  }
  const matchIn = (field: Field) =>
    type === 'phrase' ? matchPhrase(field, text, context) : matchWords(field, text, demand, context);
  return boosted(inAnyField(fields, matchIn), boostOf(options, context));
}

export interface BoostedField {
  field: Field;
  boost: number;
}

export const inAnyField = (fields: readonly BoostedField[], matchIn: (field: Field) => Compiled): Compiled =>
  atLeast(
    1,
    fields.map(({ field, boost }) => boosted(matchIn(field), boost)),
  );

/** `["title^2", "text"]`; the text where none are named. */
export function readFields(node: QueryNode, context: Context): BoostedField[] {
  if (node === undefined) return [{ field: { type: 'text' }, boost: 1 }];
  if (!Array.isArray(node) || node.length === 0) return refuse(context.pointer, 'Here should be a list of fields.');
  return node.map((entry: QueryNode, index) => {
    const at = below(context, index);
    const [, name, boost] = (typeof entry === 'string' && /^(.+?)(?:\^(\d{1,4}(?:\.\d{1,4})?))?$/s.exec(entry)) || [];
    if (name === undefined)
      return refuse(at.pointer, 'Here should be the name of a field, such as "title" or "title^2".');
    return { field: fieldOf(name, at), boost: Number(boost ?? 1) };
  });
}

function readField(
  content: QueryNode,
  context: Context,
  known: readonly string[],
): { field: Field; text: string; options: Record<string, QueryNode>; at: Context } {
  const [name, inner] = onlyEntry(content, context, 'a field, such as {"title": "annual message"}');
  const at = below(context, name);
  const field = fieldOf(name, at);
  if (!isObject(inner)) return { field, text: readText(inner, at), options: {}, at };
  const options = knownOptions(inner, at, ['query', ...known, 'boost']);
  return { field, text: readText(options['query'], below(at, 'query')), options, at };
}

function readDemand(options: Record<string, QueryNode>, context: Context): Demand {
  const operator = readOperator(options['operator'], below(context, 'operator'));
  const minimum = options['minimum_should_match'];
  if (minimum === undefined) return { type: operator === 'and' ? 'all' : 'any' };
  const at = below(context, 'minimum_should_match');
  if (operator === 'and') refuse(at.pointer, 'With the operator "and" all words are needed anyway.');
  return { type: 'minimum', minimum: readMinimum(minimum, at) };
}

export function readOperator(node: QueryNode, { pointer }: Context): 'and' | 'or' {
  const operator = typeof node === 'string' ? node.toLowerCase() : (node ?? 'or');
  if (operator !== 'and' && operator !== 'or') return refuse(pointer, 'The operator is "and" or "or".');
  return operator;
}

/** Words are what stands between white space; what the language's rules cut such a word into has to be there all together. */
export function matchWords(field: Field, text: string, demand: Demand, context: Context): Compiled {
  if (field.type === 'ref') return isOneOf(field, [text]);
  const pieces = text.trim().split(/\s+/u);
  countClauses(context, pieces.length);
  const words = pieces.map((piece) => tsquery('plainto_tsquery', piece, context));
  const whole = demand.type === 'all' ? tsquery('plainto_tsquery', text, context) : join(words, ' || ');
  const dsl =
    demand.type === 'minimum'
      ? minimumWordsDsl(field, text, demand.minimum)
      : demand.type === 'all'
        ? allWordsDsl(field, text)
        : anyWordDsl(field, pieces);
  const found = matchTsquery(field, whole, { prefilter: whole, marks: words, dsl }, context);
  if (demand.type !== 'minimum') return found;
  return withMinimum(field, found, words, demand.minimum, context);
}

/** Words that the language does not search for are not counted. */
function withMinimum(
  field: Exclude<Field, { type: 'ref' }>,
  found: Compiled,
  words: readonly Condition[],
  minimum: Minimum,
  context: Context,
): Compiled {
  const vector = vectorOf(field, context);
  const matching = join(
    words.map(({ sql, bindings }) => ({ sql: `(vector @@ (${sql}))::int`, bindings })),
    ' + ',
  );
  const total = join(
    words.map(({ sql, bindings }) => ({ sql: `(numnode(${sql}) > 0)::int`, bindings })),
    ' + ',
  );
  // How many are needed, by how many words count.
  const needed = [...Array(words.length + 1).keys()].map((count) => String(minimumOf(minimum, count)));
  return {
    ...found,
    sql: `(${found.sql}) and (
      select ${matching.sql} >= (?::int[])[1 + ${total.sql}]
      from (select ${vector.sql} as vector) as field)`,
    bindings: [...found.bindings, ...matching.bindings, needed, ...total.bindings, ...vector.bindings],
  };
}

export function matchPhrase(field: Field, text: string, context: Context): Compiled {
  if (field.type === 'ref') return isOneOf(field, [text]);
  countClauses(context, text.trim().split(/\s+/u).length);
  const phrase = tsquery('phraseto_tsquery', text, context);
  // An index of all the metadata does not know where in which field a word stands.
  const prefilter = tsquery('plainto_tsquery', text, context);
  return matchTsquery(field, phrase, { prefilter, marks: [phrase], dsl: phraseDsl(field, text) }, context);
}

/** A word of the index begins with this, which is not cut down to a stem, but made lower case as words there are. */
export function matchWordPrefix(field: Field, beginning: string, context: Context): Compiled {
  if (field.type === 'ref') return plain('starts_with(d.ref, ?)', [beginning], prefixDsl(field, beginning));
  countClauses(context);
  const lexeme = beginning.toLowerCase().replaceAll('\\', '\\\\').replaceAll("'", "''");
  const query = { sql: '?::tsquery', bindings: [`'${lexeme}':*`] };
  return matchTsquery(
    field,
    query,
    { prefilter: query, marks: [query], dsl: wordPrefixDsl(field, beginning) },
    context,
  );
}

/** A text as for a web search: words, "phrases", or, -without. */
export function matchWebSearch(text: string, context: Context): Compiled {
  countClauses(context, text.trim().split(/\s+/u).length);
  const query = tsquery('websearch_to_tsquery', text, context);
  const marks = markable(text).map((piece) => tsquery('phraseto_tsquery', piece, context));
  return matchTsquery({ type: 'text' }, query, { prefilter: query, marks, dsl: webSearchDsl(text) }, context);
}

/** The phrases and words that a web search wants. */
function markable(text: string): string[] {
  return [...text.matchAll(/(-?)"([^"]*)"?|([^\s"]+)/gu)].flatMap(([, minus, phrase, word]) => {
    if (phrase !== undefined) return minus === '-' ? [] : [phrase];
    return word === undefined || word.startsWith('-') || word.toLowerCase() === 'or' ? [] : [word];
  });
}

type ToTsquery = 'plainto_tsquery' | 'phraseto_tsquery' | 'websearch_to_tsquery';

const tsquery = (name: ToTsquery, text: string, { language }: Context): Condition => ({
  sql: `${name}(?::regconfig, ?)`,
  bindings: [language, text],
});

/** @param prefilter is true of all metadata where the query is true of one field */
function matchTsquery(
  field: Exclude<Field, { type: 'ref' }>,
  query: Condition,
  { prefilter, marks, dsl }: { prefilter: Condition; marks: readonly Condition[]; dsl: Dsl },
  context: Context,
): Compiled {
  const vector = vectorOf(field, context);
  // 1: "divides the rank by 1 + the logarithm of the document length".
  const score = {
    sql: `ts_rank(${vector.sql}, ${query.sql}, 1)::float8`,
    bindings: [...vector.bindings, ...query.bindings],
  };
  if (field.type === 'text') {
    return { sql: `d.tsv @@ (${query.sql})`, bindings: query.bindings, scores: [score], marks, dsl };
  }
  return {
    // Metadata that are very large have no vector.
    sql: `(d.metadata_tsv @@ (${prefilter.sql}) or d.metadata_tsv is null) and ${vector.sql} @@ (${query.sql})`,
    bindings: [...prefilter.bindings, ...vector.bindings, ...query.bindings],
    scores: [score],
    marks: [],
    dsl,
  };
}

/** Never NULL. */
function vectorOf(field: Exclude<Field, { type: 'ref' }>, { language }: Context): Condition {
  if (field.type === 'text') return { sql: 'd.tsv', bindings: [] };
  const found = jsonOf(field);
  return {
    sql: `(select coalesce(
        case when length(found #>> '{}') <= ${SEARCHED_METADATA}
          then jsonb_to_tsvector(?::regconfig, found, '${WORDY}')
          else to_tsvector(?::regconfig, left(found #>> '{}', ${SEARCHED_METADATA})) end, '')
      from (select ${found.sql} as found) as field)`,
    bindings: [language, language, ...found.bindings],
  };
}
