import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { describeError } from '../../api-server/http/errors.js';
import { PROBLEMS, ProblemError, isProblemSlug, problemDocument } from '../../api-server/http/problems.js';

const ROOT = new URL('../../api-server', import.meta.url).pathname;
const CATALOGUE = join('http', 'problems.ts');

test('every problem in the catalogue is used by some code', () => {
  const code = readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts') && file !== CATALOGUE)
    .map((file) => readFileSync(join(ROOT, file), 'utf8'))
    .join('\n');
  const unused = Object.keys(PROBLEMS).filter((slug) => !code.includes(`'${slug}'`));
  // What packagers report of themselves is named by them, and only read here.
  const reported = new Set([
    'packager-killed',
    'packager-stalled',
    'packaging-failed',
    'source-unavailable',
    'source-refused',
    'listing-incomplete',
    'archive-not-verified',
  ]);
  expect(unused.filter((slug) => !reported.has(slug))).toEqual([]);
});

test('every problem that code throws is in the catalogue', () => {
  for (const file of readdirSync(ROOT, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))) {
    const code = readFileSync(join(ROOT, file), 'utf8');
    for (const [, slug = ''] of code.matchAll(/new ProblemError\(\s*'([^']+)'/g))
      expect([file, isProblemSlug(slug)]).toEqual([file, true]);
  }
});

const PROBLEMS_PAGE = new URL('../../docs/problems.md', import.meta.url);

test('docs/problems.md has every problem, as the catalogue has it', () => {
  const rows = [...readFileSync(PROBLEMS_PAGE, 'utf8').matchAll(/^\| `([a-z-]+)` +\| (\d+) +\| (.*?) *\|$/gm)];
  const documented: unknown = Object.fromEntries(
    rows.map(([, slug, status, text]) => [slug, `${String(status)} ${String(text)}`]),
  );
  const known = Object.entries(PROBLEMS).map(([slug, { status, title, description }]) => [
    slug,
    `${status} **${title}.** ${description}`.replace('?.**', '?**').replaceAll('|', '\\|'),
  ]);
  expect(documented).toEqual(Object.fromEntries(known));
});

test('a problem keeps its cause to itself', () => {
  const cause = new Error('the password is x');
  const problem = new ProblemError('internal-error', undefined, { requestId: '1' }, { cause });
  expect(problem.cause).toBe(cause);
  expect(JSON.stringify(problemDocument(problem))).not.toContain('password');
  expect(describeError(cause)).toMatchObject({ slug: 'internal-error', cause });
});

test.each([
  [{ code: 'ECONNREFUSED', syscall: 'connect' }],
  [{ code: '57P01' }],
  [{ code: '08006' }],
  [{ name: 'KnexTimeoutError' }],
  [{ message: 'Connection terminated unexpectedly' }],
  [{ message: 'select 1 - Connection terminated unexpectedly' }],
])('%j is the database that cannot be reached', (fault) => {
  const problem = describeError(Object.assign(new Error(), fault));
  expect(problem).toMatchObject({ slug: 'database-unavailable', options: { headers: { 'Retry-After': '5' } } });
});
