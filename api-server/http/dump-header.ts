/** `Adit-Dump` and `Adit-Attempt`: with them a packager says what it is working on (docs/packager-http.md). */
import type { Request } from 'express';
import type { Caller } from '../miners/caller.js';
import type { Parts } from '../parts.js';
import { ProblemError } from './problems.js';

/** @throws {ProblemError} `dump-gone` where a packager works on a dump that nobody wants any more */
export async function refuseUnwantedDump({ dumps }: Pick<Parts, 'dumps'>, request: Request, caller: Caller) {
  const dump = request.get('adit-dump');
  if (caller.role !== 'packager' || dump === undefined) return;
  const attempt = request.get('adit-attempt');
  if (!(await dumps.isDumpWanted(dump, attempt === undefined ? undefined : Number(attempt))))
    throw new ProblemError('dump-gone');
}
