/** The formats that a request asks for: `?fmt=meta,txt`, or `fmts` as the first Adit spelled it. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { formatsOf, WELL_KNOWN_FORMATS } from '../collections/collections.js';
import { ProblemError } from '../http/problems.js';
import { queryParam } from '../http/route.js';

const DEFAULT_FORMATS = ['txt'];

/**
 * The wanted formats, each once, in the order in which they were asked for.
 * @param collection is asked for only where a format is not one that every collection knows
 * @throws {ProblemError} `format-unknown`
 */
export async function wantedFormats(
  knex: Knex,
  request: Request,
  collection: () => Promise<string>,
): Promise<string[]> {
  const text = queryParam(request, 'fmt') ?? queryParam(request, 'fmts');
  if (text === undefined) return DEFAULT_FORMATS;
  const wanted = [...new Set(text.split(',').map((format) => format.trim()))];
  if (wanted.every((format) => WELL_KNOWN_FORMATS.includes(format))) return wanted;
  const { known } = await formatsOf(knex, await collection());
  const unknown = wanted.filter((format) => !known.includes(format));
  if (unknown.length > 0) {
    const detail = `There is no format ${unknown.map((format) => JSON.stringify(format)).join(', ')} in this collection.`;
    throw new ProblemError('format-unknown', detail, { formats: known });
  }
  return wanted;
}
