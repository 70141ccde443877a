/** Where a job puts what it makes. */
import { randomBytes } from 'node:crypto';
import { archiveKey, manifestKey, type PackageRequest } from '../../queue-config/index.js';
import { containerOf } from './container.js';

export interface ArchiveKeys {
  /** Prefix of this attempt at the dump, `dumps/<dump id>/<attempt>/`. */
  attempt: string;
  /** Prefix of the dump, whose earlier attempts are over. */
  dump: string;
  /** Id of the dump. */
  id: string;
  /** This run's own archive: two runs of one attempt never write the same object. */
  archive: string;
  manifest: string;
}

export function archiveKeysOf(request: PackageRequest, run: number): ArchiveKeys {
  // A request of another make names no dump; whether two of them mean the same one cannot be known, so each is its own.
  const own = `docset-${request.docset}-${run.toString(36)}`;
  const attempt = request.archiveKey ?? archiveKey(request.dump ?? own, Math.max(request.attempt, 1));
  const [, id = own] = attempt.split('/');
  return {
    attempt,
    dump: `dumps/${id}/`,
    id,
    archive: `${attempt}${run.toString(36)}-${randomBytes(6).toString('hex')}.${containerOf(request)}`,
    manifest: manifestKey(attempt),
  };
}

/** Prefixes of those attempts to which these keys belong, this one and those before it: nobody else works on them any more. */
export function attemptsUpTo({ attempt, dump }: ArchiveKeys, found: string[]): string[] {
  const number = (prefix: string): number => Number(prefix.slice(dump.length, -1));
  const prefixes = found.map((key) => key.slice(0, key.indexOf('/', dump.length) + 1));
  // A later attempt is somebody else's work, done while this request came late.
  return [...new Set(prefixes)].filter((prefix) => number(prefix) <= number(attempt));
}
