/** The formats that a request asks for: `?fmt=meta,txt`, or `fmts` as the first Adit spelled it. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { formatsOf } from '../collections/collections.js';
import { ProblemError } from '../http/problems.js';
import { queryParam } from '../http/route.js';

const DEFAULT_FORMATS = ['txt'];

/**
 * The wanted formats, each once, in the order in which they were asked for.
 * @throws {ProblemError} `format-unknown`
 */
export async function wantedFormats(knex: Knex, collection: string, request: Request): Promise<string[]> {
  const text = queryParam(request, 'fmt') ?? queryParam(request, 'fmts');
  if (text === undefined) return DEFAULT_FORMATS;
  const wanted = [...new Set(text.split(',').map((format) => format.trim()))];
  const { known } = await formatsOf(knex, collection);
  const unknown = wanted.filter((format) => !known.includes(format));
  if (unknown.length > 0) {
    const detail = `There is no format ${unknown.map((format) => JSON.stringify(format)).join(', ')} in this collection.`;
    throw new ProblemError('format-unknown', detail, { formats: known });
  }
  return wanted;
}
