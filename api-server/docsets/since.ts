/** The docset that a dump was of, for those that are relative to it. */
import { ProblemError } from '../http/problems.js';
import type { Parts } from '../parts.js';
import { findEvenDeleted, type Docset, type DocsetFacts } from './docsets.js';

/**
 * The docset of a dump, with its members.
 * @throws {ProblemError} `since-not-found`, `since-gone`
 */
export async function findSince({ knex, dumps }: Pick<Parts, 'knex' | 'dumps'>, dump: string): Promise<Docset> {
  const id = await dumps.docsetOf(dump);
  const docset = id === undefined ? undefined : await findEvenDeleted(knex, id);
  if (docset === undefined) throw new ProblemError('since-not-found', `There is no dump ${dump}.`);
  return refuseDeleted(docset);
}

/** @throws {ProblemError} `since-gone` */
export function refuseDeleted(docset: Docset): Docset {
  if (docset.deleted === null) return docset;
  throw new ProblemError('since-gone', sinceGone(docset.id));
}

/** @throws {ProblemError} `since-not-comparable` */
export function refuseOtherCollection(docset: DocsetFacts, earlier: DocsetFacts): void {
  if (docset.collection_id === earlier.collection_id) return;
  throw new ProblemError(
    'since-not-comparable',
    `Docset ${docset.id} is of collection ${docset.collection_id}, and the earlier dump of ${earlier.collection_id}.`,
  );
}

export const sinceGone = (docset: string): string =>
  `Docset ${docset} was deleted, and with it what its dumps were of: nothing can be relative to them.`;
