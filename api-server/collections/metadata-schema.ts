/** JSON Schemas of metadata: one that was given holds for what is ingested, and else one is derived from what came. */
import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import ajvDraft04 from 'ajv-draft-04';
import ajvFormats from 'ajv-formats';
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import type { Collection } from './collections.js';

/** So many names lead to a field; what is deeper in the metadata is found by no query for a field. */
export const DEEPEST_FIELD = 5;

/** What is wrong with the metadata of a document, in words; undefined where nothing is. */
export type MetadataCheck = (metadata: object) => string | undefined;

/** What a document has at the least. */
export const DEFAULT_SCHEMA = {
  $schema: 'http://json-schema.org/draft-04/schema#',
  type: 'object',
  properties: { title: { type: 'string' }, creator: { type: 'string' }, date: { type: 'string' } },
};

const MOST_ERRORS = 5;

/** Draft 4, 6, 7 or 2020-12, as `$schema` says; without it, 2020-12. @throws {ProblemError} `request-invalid` */
export function checkerOf(schema: object): MetadataCheck {
  const validate = compile(schema);
  return (metadata) => (validate(metadata) ? undefined : describeErrors(validate.errors ?? []));
}

function compile(schema: object): ValidateFunction {
  const dialect = '$schema' in schema ? String(schema.$schema) : '';
  const options = { allErrors: true, strict: false, validateFormats: true, logger: false as const };
  const ajv = /draft-04/.test(dialect)
    ? new ajvDraft04.default(options)
    : /draft-0[67]/.test(dialect)
      ? new Ajv(options)
      : new Ajv2020(options);
  ajvFormats.default(ajv);
  try {
    // Draft 6 differs from draft 7 in keywords that it does not know.
    return ajv.compile(
      /draft-06/.test(dialect) ? { ...schema, $schema: 'http://json-schema.org/draft-07/schema#' } : schema,
    );
  } catch (error) {
    const detail = `is no JSON Schema that can be used: ${error instanceof Error ? error.message : String(error)}`;
    throw new ProblemError('request-invalid', `The schema ${detail}.`, { errors: [{ pointer: '/schema', detail }] });
  }
}

function describeErrors(errors: readonly ErrorObject[]): string {
  const told = errors.slice(0, MOST_ERRORS).map(describeError);
  const more = errors.length - told.length;
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ');
}

function describeError({ instancePath, message = 'is not what the schema says', params }: ErrorObject): string {
  const allowed: unknown = params['allowedValues'];
  const more = Array.isArray(allowed) ? `: ${allowed.map((value) => JSON.stringify(value)).join(', ')}` : '';
  const extra: unknown = params['additionalProperty'];
  return `metadata${instancePath} ${message}${more}${typeof extra === 'string' ? `: ${extra}` : ''}`;
}

/** The schema that was given, or the one that all that came fits. */
export async function schemaOf(knex: Knex, collection: Collection): Promise<object> {
  if (collection.schema_given) return collection.schema;
  const fields = await knex('collection_fields')
    .where({ collection_id: collection.id })
    .orderBy('field')
    .select<{ field: string; types: string[] }[]>('field', 'types');
  if (fields.length === 0) return DEFAULT_SCHEMA;
  const properties = Object.fromEntries(fields.map(({ field, types }) => [field, propertyOf(types)]));
  return { $schema: DEFAULT_SCHEMA.$schema, title: collection.name, type: 'object', properties };
}

/** Where the schema says that there are metadata, as far as documents are looked into. */
export function declaredPaths(schema: object): string[][] {
  return pathsBelow(schema, []);
}

function pathsBelow(schema: unknown, path: readonly string[]): string[][] {
  if (typeof schema !== 'object' || schema === null || path.length >= DEEPEST_FIELD) return [];
  if ('items' in schema && path.length > 0) return pathsBelow(schema.items, path);
  if (!('properties' in schema) || typeof schema.properties !== 'object' || schema.properties === null) return [];
  return Object.entries(schema.properties).flatMap(([name, property]: [string, unknown]) => [
    [...path, name],
    ...pathsBelow(property, [...path, name]),
  ]);
}

function propertyOf(types: readonly string[]): object {
  // Every integer is a number.
  const [only, ...others] = types.filter((type) => type !== 'integer' || !types.includes('number'));
  if (only === undefined) return {};
  return { type: others.length === 0 ? only : [only, ...others] };
}
