/** The formats that a request asks for: `?fmt=meta,txt`, or `fmts` as the first Adit spelled it. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { formatsOf, WELL_KNOWN_FORMATS } from '../collections/collections.js';
import { ProblemError } from '../http/problems.js';
import { queryParam } from '../http/route.js';

export const DEFAULT_FORMATS: readonly string[] = ['txt'];

/** The formats that a request names, each once and in its order, whether there are such or not; undefined: it names none. */
export function namedFormats(request: Request): string[] | undefined {
  const text = queryParam(request, 'fmt') ?? queryParam(request, 'fmts');
  if (text === undefined) return undefined;
  // No format has a NUL, and PostgreSQL takes none: it is looked for, and told, as what stands for what cannot be shown.
  const formats = text.replaceAll('\0', '\ufffd').split(',');
  return [...new Set(formats.map((format) => format.trim()))];
}

/** The same, or those that are meant where none is named. */
export const wantedFormats = (request: Request): string[] => namedFormats(request) ?? [...DEFAULT_FORMATS];

/**
 * The collection is asked only where a format is not one that every collection knows.
 * @throws {ProblemError} `format-unknown`
 */
export async function requireKnown(knex: Knex, formats: readonly string[], collection: string): Promise<void> {
  if (formats.every((format) => WELL_KNOWN_FORMATS.includes(format))) return;
  const { known } = await formatsOf(knex, collection);
  const unknown = formats.filter((format) => !known.includes(format));
  if (unknown.length === 0) return;
  const detail = `There is no format ${unknown.map((format) => JSON.stringify(format)).join(', ')} in this collection.`;
  throw new ProblemError('format-unknown', detail, { formats: known });
}
