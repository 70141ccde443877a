/** Numbers, sizes, moments and spans as people read them. */
import prettyBytes from 'pretty-bytes';

const whole = new Intl.NumberFormat('en');
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

export const number = (value: number): string => whole.format(value);

/** `1 document`, `2,500 documents` */
export const count = (value: number, one: string, many = `${one}s`): string =>
  `${number(value)} ${value === 1 ? one : many}`;

export const bytes = (value: number): string => prettyBytes(value);

/** As the server writes it, such as `2026-11-22T01:00:00.000Z`, in the time of the browser. */
export const when = (time: string): string => moment.format(new Date(time));

/** `less than a second`, `40 seconds`, `about 3 minutes`. */
export function span(seconds: number): string {
  if (seconds < 1) return 'less than a second';
  if (seconds < 90) return count(Math.round(seconds), 'second');
  if (seconds < 90 * 60) return `about ${count(Math.round(seconds / 60), 'minute')}`;
  if (seconds < 36 * 3600) return `about ${count(Math.round(seconds / 3600), 'hour')}`;
  return `about ${count(Math.round(seconds / 86_400), 'day')}`;
}

/** `a`, `a and b`, `a, b and c` */
export function list(words: readonly string[], last = 'and'): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1) ?? ''}`;
}
