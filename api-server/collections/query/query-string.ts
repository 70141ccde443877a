/**
 * `query_string`: `civil AND (war OR rights) -peace +title:annual year:[1860 TO 1865] "public lands" railr*`. AND and OR mean
 * what they do to Lucene's classic parser: a clause is required, wanted or forbidden, as its neighbours say.
 */
import { boosted } from './combine.js';
import { readFields, readOperator } from './match.js';
import {
  below,
  boostOf,
  knownOptions,
  readText,
  refuse,
  type Compiled,
  type Context,
  type QueryNode,
} from './query-node.js';
import { compileParsed, scan, unescapeText, type Parsed, type Scanner } from './query-text.js';

export function compileQueryString(content: QueryNode, context: Context): Compiled {
  const known = ['query', 'default_field', 'fields', 'default_operator', 'boost'];
  const options = knownOptions(content, context, known);
  const at = below(context, 'query');
  const text = readText(options['query'], at);
  const fields = readDefaultFields(options, context);
  const operator = readOperator(options['default_operator'], below(context, 'default_operator'));
  const parsed = parse(text, operator, at);
  return boosted(compileParsed(parsed, fields, { ...at, inText: true }), boostOf(options, context));
}

function readDefaultFields(options: Record<string, QueryNode>, context: Context) {
  const { default_field: field, fields } = options;
  if (field === undefined) return readFields(fields, below(context, 'fields'));
  const at = below(context, 'default_field');
  if (fields !== undefined) refuse(at.pointer, 'There are fields already: one of the two is enough.');
  return readFields([field], { ...at, inText: true });
}

type Operator = 'and' | 'or';
type Occurrence = 'must' | 'should' | 'mustNot';
interface Clause {
  occurrence: Occurrence;
  parsed: Parsed;
}

/** A word goes on until white space or a character that means something; a backslash takes that from it. */
const WORD = /(?:\\.|[^\s\\()[\]{}":^~*?])+/;
const PHRASE = /"((?:\\.|[^"\\])*)"/;

function parse(text: string, operator: Operator, context: Context): Parsed {
  const scanner = scan(text, context);
  const parsed = parseGroup(scanner, operator, undefined);
  if (!scanner.isAtEnd()) scanner.fail('there is no bracket open that could be closed here.');
  return parsed;
}

/** Up to the bracket that closes it, or the end. */
function parseGroup(scanner: Scanner, operator: Operator, field: string | undefined): Parsed {
  const clauses: Clause[] = [];
  for (;;) {
    scanner.take(/\s+/);
    const conjunction = readConjunction(scanner);
    if (conjunction !== undefined && clauses.length === 0) scanner.fail('AND and OR stand between two clauses.');
    const modifier = readModifier(scanner);
    const parsed = parseClause(scanner, operator, field);
    if (parsed === undefined) {
      if (conjunction !== undefined || modifier !== undefined) scanner.fail('here should be a clause.');
      break;
    }
    addClause(clauses, { conjunction, modifier, parsed }, operator);
  }
  if (clauses.length === 0) scanner.fail('here should be something to search for.');
  const withOccurrence = (wanted: Occurrence): Parsed[] =>
    clauses.filter(({ occurrence }) => occurrence === wanted).map(({ parsed }) => parsed);
  return {
    type: 'group',
    must: withOccurrence('must'),
    should: withOccurrence('should'),
    mustNot: withOccurrence('mustNot'),
  };
}

function readConjunction(scanner: Scanner): Operator | undefined {
  const found = scanner.take(/(AND|OR)(?=[\s(]|$)\s*|(&&|\|\|)\s*/);
  if (found === undefined) return undefined;
  return found[1] === 'AND' || found[2] === '&&' ? 'and' : 'or';
}

function readModifier(scanner: Scanner): 'required' | 'forbidden' | undefined {
  const found = scanner.take(/NOT(?=[\s(]|$)\s*|[!+-]\s*/);
  if (found === undefined) return undefined;
  return found[0].startsWith('+') ? 'required' : 'forbidden';
}

function addClause(
  clauses: Clause[],
  {
    conjunction,
    modifier,
    parsed,
  }: { conjunction: Operator | undefined; modifier: string | undefined; parsed: Parsed },
  operator: Operator,
): void {
  const before = clauses.at(-1);
  if (before !== undefined && before.occurrence !== 'mustNot') {
    if (conjunction === 'and') before.occurrence = 'must';
    // Where all are required anyway, an OR takes that from both of its sides.
    if (conjunction === 'or' && operator === 'and') before.occurrence = 'should';
  }
  const isRequired =
    operator === 'and'
      ? conjunction !== 'or' || modifier === 'required'
      : modifier === 'required' || conjunction === 'and';
  const occurrence = modifier === 'forbidden' ? 'mustNot' : isRequired ? 'must' : 'should';
  clauses.push({ occurrence, parsed });
}

/** Undefined where the group ends. */
function parseClause(scanner: Scanner, operator: Operator, field: string | undefined): Parsed | undefined {
  if (scanner.take(/\*(?::\*)?(?=[\s)]|$)/) !== undefined) {
    return withBoost(scanner, field === undefined ? { type: 'all' } : { type: 'exists', field });
  }
  const named = scanner.take(new RegExp(`(${WORD.source}):`));
  if (named !== undefined) {
    if (field !== undefined) scanner.fail('a field within a field.');
    return parseField(scanner, operator, unescapeText(named[1] ?? ''));
  }
  return parseValue(scanner, operator, field);
}

function parseField(scanner: Scanner, operator: Operator, field: string): Parsed {
  if (field === '_exists_') {
    const name = scanner.take(WORD) ?? scanner.fail('here should be the name of a field.');
    return { type: 'exists', field: unescapeText(name[0]) };
  }
  if (scanner.take(/\*(?=[\s)]|$)/) !== undefined) return { type: 'exists', field };
  const range = parseRange(scanner, field);
  if (range !== undefined) return withBoost(scanner, range);
  return parseValue(scanner, operator, field) ?? scanner.fail('here should be what the field has to have.');
}

/** `[a TO b]` with its ends, `{a TO b}` without, `*` for an open end; `>=a`. */
function parseRange(scanner: Scanner, field: string): Parsed | undefined {
  const one = scanner.take(new RegExp(`([<>]=?)\\s*(${WORD.source})`));
  if (one !== undefined) {
    const bound = { '<': 'lt', '<=': 'lte', '>': 'gt', '>=': 'gte' }[one[1] ?? ''] ?? '';
    return { type: 'range', field, bounds: { [bound]: unescapeText(one[2] ?? '') } };
  }
  const end = `(\\*|"(?:[^"\\\\])*"|(?:\\\\.|[^\\s\\\\\\]}"])+)`;
  const both = scanner.take(new RegExp(`([[{])\\s*${end}\\s+TO\\s+${end}\\s*([\\]}])`));
  if (both === undefined) return undefined;
  const [, opening, from = '', to = '', closing] = both;
  if (from === '*' && to === '*') return { type: 'exists', field };
  const bounds = {
    ...(from === '*' ? {} : { [opening === '[' ? 'gte' : 'gt']: readEnd(from) }),
    ...(to === '*' ? {} : { [closing === ']' ? 'lte' : 'lt']: readEnd(to) }),
  };
  return { type: 'range', field, bounds };
}

const readEnd = (text: string): string => (text.startsWith('"') ? text.slice(1, -1) : unescapeText(text));

function parseValue(scanner: Scanner, operator: Operator, field: string | undefined): Parsed | undefined {
  if (scanner.take(/\(/) !== undefined) {
    const group = parseGroup(scanner, operator, field);
    if (scanner.take(/\)/) === undefined) scanner.fail('a bracket was opened and is not closed.');
    return withBoost(scanner, group);
  }
  const phrase = scanner.take(PHRASE);
  if (phrase !== undefined) return withBoost(scanner, readPhrase(scanner, field, phrase[1] ?? ''));
  if (scanner.take(/\//) !== undefined) scanner.fail('regular expressions are not supported; write \\/ for a slash.');
  const word = scanner.take(WORD);
  if (word === undefined) {
    if (scanner.isAtEnd() || scanner.take(/(?=\))/) !== undefined) return undefined;
    return scanner.fail('this is not supported here; a backslash makes it a character like any other.');
  }
  const text = unescapeText(word[0]);
  if (scanner.take(/\*(?=[\s)^]|$)/) !== undefined) return withBoost(scanner, { type: 'prefix', field, text });
  if (scanner.take(/(?=[*?])/) !== undefined) scanner.fail('of patterns, only a * at the end of a word is supported.');
  return withBoost(scanner, { type: 'words', field, text });
}

function readPhrase(scanner: Scanner, field: string | undefined, quoted: string): Parsed {
  const text = unescapeText(quoted);
  if (text.trim() === '') scanner.fail('the phrase is empty.');
  return { type: 'phrase', field, text };
}

function withBoost(scanner: Scanner, of: Parsed): Parsed {
  if (scanner.take(/(?=~)/) !== undefined)
    scanner.fail('neither similar words nor phrases with gaps (~) are supported.');
  const boost = scanner.take(/\^(\d{1,4}(?:\.\d{1,4})?)/);
  if (boost === undefined) {
    if (scanner.take(/(?=\^)/) !== undefined) scanner.fail('behind ^ there should be a number.');
    return of;
  }
  return { type: 'boosted', of, boost: Number(boost[1]) };
}
