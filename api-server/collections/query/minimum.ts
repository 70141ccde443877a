/** `minimum_should_match`: how many of several clauses or words there have to be. */
import { refuse, type Context, type QueryNode } from './query-node.js';

/** `count` 3: three; -1: all but one. `percent` 75: so much of them, rounded down; -25: all but so much. */
export type Minimum = { type: 'count'; value: number } | { type: 'percent'; value: number };

const LARGEST = 1_000;

/** @param context of the value */
export function readMinimum(node: QueryNode, { pointer }: Context): Minimum {
  const text = typeof node === 'number' ? String(node) : node;
  const [, digits, percent] = (typeof text === 'string' && /^(-?\d{1,4})(%?)$/.exec(text)) || [];
  const value = Number(digits);
  if (digits === undefined || Math.abs(value) > (percent === '%' ? 100 : LARGEST)) {
    return refuse(pointer, 'Here should be a whole number, or a percentage such as "75%"; either may be negative.');
  }
  return { type: percent === '%' ? 'percent' : 'count', value };
}

export function minimumOf({ type, value }: Minimum, total: number): number {
  if (type === 'count') return value >= 0 ? value : Math.max(0, total + value);
  const part = Math.floor((total * Math.abs(value)) / 100);
  return value >= 0 ? part : total - part;
}
