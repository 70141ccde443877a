/**
 * `simple_query_string`: `civil +(war | rights) -peace "public lands" railr*`. As in Elasticsearch, `+` is AND, `|` is OR, from
 * left to right; `-` is the complement of what follows; two words without anything between them have the default operator.
 */
import { boosted } from './combine.js';
import { readFields, readOperator } from './match.js';
import { below, boostOf, knownOptions, readText, type Compiled, type Context, type QueryNode } from './query-node.js';
import { compileParsed, scan, unescapeText, type Parsed, type Scanner } from './query-text.js';

export function compileSimpleQueryString(content: QueryNode, context: Context): Compiled {
  const options = knownOptions(content, context, ['query', 'fields', 'default_operator', 'boost']);
  const at = below(context, 'query');
  const text = readText(options['query'], at);
  const fields = readFields(options['fields'], below(context, 'fields'));
  const operator = readOperator(options['default_operator'], below(context, 'default_operator'));
  const parsed = parse(text, operator, at);
  return boosted(compileParsed(parsed, fields, { ...at, inText: true }), boostOf(options, context));
}

type Operator = 'and' | 'or';

const WORD = /(?:\\.|[^\s\\()"|+*~])+/;

function parse(text: string, operator: Operator, context: Context): Parsed {
  const scanner = scan(text, context);
  const parsed = parseGroup(scanner, operator);
  if (!scanner.isAtEnd()) scanner.fail('there is no bracket open that could be closed here.');
  return parsed;
}

/** Up to the bracket that closes it, or the end. */
function parseGroup(scanner: Scanner, byDefault: Operator): Parsed {
  let sum: Parsed | undefined;
  let last: Operator | undefined;
  for (;;) {
    scanner.take(/\s+/);
    const sign = scanner.take(/([+|])\s*/)?.[1];
    // A + before the first word requires it, which it is anyway.
    if (sign === '|' && sum === undefined) scanner.fail('| stands between two words.');
    const next = parseOperand(scanner, byDefault);
    if (next === undefined) {
      if (sign !== undefined) scanner.fail('here should be a word.');
      break;
    }
    const operator = sign === undefined ? byDefault : sign === '+' ? 'and' : 'or';
    if (sum === undefined) {
      sum = next;
      continue;
    }
    sum = combine(sum, next, operator, operator === last);
    last = operator;
  }
  return sum ?? scanner.fail('here should be something to search for.');
}

/** @param goesOn with the same operator, nothing has to be nested */
function combine(sum: Parsed, next: Parsed, operator: Operator, goesOn: boolean): Parsed {
  const name = operator === 'and' ? 'must' : 'should';
  const before = goesOn && sum.type === 'group' ? sum[name] : [sum];
  return { type: 'group', must: [], should: [], mustNot: [], [name]: [...before, next] };
}

/** Undefined where the group ends. */
function parseOperand(scanner: Scanner, byDefault: Operator): Parsed | undefined {
  if (scanner.take(/-/) !== undefined) {
    const of = parseOperand(scanner, byDefault) ?? scanner.fail('behind - there should be a word.');
    return { type: 'group', must: [], should: [], mustNot: [of] };
  }
  if (scanner.take(/\(/) !== undefined) {
    const group = parseGroup(scanner, byDefault);
    if (scanner.take(/\)/) === undefined) scanner.fail('a bracket was opened and is not closed.');
    return group;
  }
  const phrase = scanner.take(/"((?:\\.|[^"\\])*)"/);
  if (phrase !== undefined) return readPhrase(scanner, unescapeText(phrase[1] ?? ''));
  if (scanner.take(/\*(?=[\s)]|$)/) !== undefined) return { type: 'all' };
  const word = scanner.take(WORD);
  if (word === undefined) {
    if (scanner.isAtEnd() || scanner.take(/(?=\))/) !== undefined) return undefined;
    return scanner.fail('this is not supported here; a backslash makes it a character like any other.');
  }
  const type = scanner.take(/\*(?=[\s)|+]|$)/) === undefined ? 'words' : 'prefix';
  refuseRest(scanner);
  return { type, field: undefined, text: unescapeText(word[0]) };
}

function readPhrase(scanner: Scanner, text: string): Parsed {
  if (text.trim() === '') scanner.fail('the phrase is empty.');
  refuseRest(scanner);
  return { type: 'phrase', field: undefined, text };
}

function refuseRest(scanner: Scanner): void {
  if (scanner.take(/(?=~)/) !== undefined)
    scanner.fail('neither similar words nor phrases with gaps (~) are supported.');
  if (scanner.take(/(?=\*)/) !== undefined) scanner.fail('of patterns, only a * at the end of a word is supported.');
}
