/** Finds what a dump is to be relative to. */
import type { Knex } from 'knex';
import { findEvenDeleted, type DocsetFacts } from '../docsets/docsets.js';
import { refuseDeleted, refuseOtherCollection } from '../docsets/since.js';
import { ProblemError } from '../http/problems.js';
import type { DumpParts } from './dump-parts.js';

/**
 * The docset that an earlier dump was of. Whoever has that dump has, with the one that is relative to it, all of `docset`.
 * @returns its id
 * @throws {ProblemError} `since-not-found`, `not-your-docset`, `since-gone`, `since-not-comparable`
 */
export async function findEarlier(
  { store }: DumpParts,
  knex: Knex,
  { docset, formats, dump }: { docset: DocsetFacts; formats: readonly string[]; dump: string },
): Promise<string> {
  const earlier = await store.byId(dump);
  const of = earlier === undefined ? undefined : await findEvenDeleted(knex, earlier.docset);
  if (earlier === undefined || of === undefined) {
    throw new ProblemError('since-not-found', `There is no dump ${dump}.`);
  }
  if (of.owner !== docset.owner)
    throw new ProblemError('not-your-docset', 'The earlier dump is of somebody else’s docset.');
  refuseDeleted(of);
  refuseOtherCollection(docset, of);
  const { status } = earlier.outcome;
  if (status !== 'successful' && status !== 'expired') {
    throw new ProblemError('since-not-comparable', `Dump ${dump} is ${status}: nobody can have its archive.`);
  }
  const missing = formats.filter((format) => !earlier.formats.includes(format));
  if (missing.length > 0) {
    throw new ProblemError(
      'since-not-comparable',
      `Dump ${dump} is in ${earlier.formats.join(', ')}, and not in ${missing.join(', ')}: what has not changed would be missing in that.`,
    );
  }
  return of.id;
}
