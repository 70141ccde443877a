/** What went wrong on the way to a dump and was put right, or refused: kept with the dump, for its miner and for the operator. */

/** What each means, in a sentence for the miner. */
export const WARNINGS = {
  'packager-lost': 'A packager that had taken the dump was no longer heard of, and the dump was asked for again.',
  'packaging-overdue': 'A packager had the dump for longer than it may, and the dump was asked for again.',
  'request-lost': 'The request for the dump was lost, or is held by a packager that says nothing, and was sent again.',
  'archive-missing': 'A packager reported an archive that is not in the store.',
  'archive-differs': 'A packager reported another size or digest than those of the archive in the store.',
  'ticket-wrong': 'Somebody who had not been given the dump to make reported about it, and was not believed.',
  'report-ambiguous': 'A report could have been about one of several dumps of the docset, and was not counted for any.',
  'events-flooded': 'More was reported about the docset than one poll reads; the rest is left to later polls.',
} as const;

export type WarningCode = keyof typeof WARNINGS;

export interface Warning {
  code: WarningCode;
  /** The name of the packager that did it, as far as it is known. */
  packager: string | null;
  /** Of how many attempts it was then. */
  attempt: number;
  /** How often. */
  count: number;
  first: Date;
  last: Date;
}

/** Different ones that are kept of a dump: whoever makes up names does not make its row grow. */
const MOST_WARNINGS = 12;

/** The warnings with one more; the same one again is counted. */
export function withWarning(
  warnings: readonly Warning[],
  { code, packager, attempt, now }: Pick<Warning, 'code' | 'packager' | 'attempt'> & { now: Date },
): Warning[] {
  const index = warnings.findIndex(
    (each) => each.code === code && each.packager === packager && each.attempt === attempt,
  );
  const known = warnings[index];
  if (known !== undefined) return warnings.with(index, { ...known, count: known.count + 1, last: now });
  if (warnings.length >= MOST_WARNINGS) return [...warnings];
  return [...warnings, { code, packager, attempt, count: 1, first: now, last: now }];
}
