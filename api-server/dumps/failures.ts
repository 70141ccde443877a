/** Why a dump can fail. Each is a problem type of the catalogue, so that a client reads one kind of error. */
import type { ProblemSlug } from '../http/problems.js';

export const FAILURES = [
  'packager-lost',
  'packaging-overdue',
  'packager-killed',
  'packager-stalled',
  'packaging-failed',
  'source-unavailable',
  'source-refused',
  'listing-incomplete',
  'archive-not-verified',
  'archive-missing',
  'storage-unavailable',
  'since-gone',
] as const satisfies ProblemSlug[];

export type FailureSlug = (typeof FAILURES)[number];

/** The failure that a packager's `Code:` names; `packaging-failed` where we do not know it. */
export function failureOf(code: string | undefined): FailureSlug {
  return FAILURES.find((slug) => slug === code) ?? 'packaging-failed';
}
