/** Collections: what there is to search and to make docsets of. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';
import { checkerOf, declaredPaths, DEFAULT_SCHEMA } from './metadata-schema.js';
import type { Searchable } from './query/query-node.js';

export interface Collection {
  id: string;
  name: string;
  description: string | null;
  source: string | null;
  licence: string | null;
  /** Text search configuration, such as `english`. */
  language: string;
  /** JSON Schema of the metadata. */
  schema: object;
  /** True where metadata have to fit the schema. */
  schema_given: boolean;
  /** How many there are now. */
  documents: string;
  revision: string;
  created: Date;
}

export interface NewCollection {
  id: string;
  name: string;
  description?: string;
  source?: string;
  licence?: string;
  language?: string;
  schema?: object;
}

/** Every PostgreSQL, and the embedded one, knows how to cut the words of these down to their stems. */
export const LANGUAGES = [
  'simple',
  ...['danish', 'dutch', 'english', 'finnish', 'french', 'german', 'hungarian', 'italian', 'norwegian', 'portuguese'],
  ...['romanian', 'russian', 'spanish', 'swedish', 'turkish'],
];

/** Formats that may be asked for although no document has them: then every member is left out, and the dump says so. */
export const WELL_KNOWN_FORMATS = ['meta', 'txt', 'pdf', 'html', 'xml', 'json'];

/** What may be changed of a collection; a schema that is null gives way to one that is derived. */
export interface CollectionChange {
  name?: string;
  description?: string | null;
  source?: string | null;
  licence?: string | null;
  schema?: object | null;
}

export const listCollections = (knex: Knex): Promise<Collection[]> =>
  knex('collections').orderBy('id').select<Collection[]>('*').then();

/** @throws {ProblemError} `collection-not-found` */
export async function findCollection(knex: Knex, id: string): Promise<Collection> {
  const collection = await knex('collections').where({ id }).first<Collection | undefined>('*');
  if (collection === undefined) throw new ProblemError('collection-not-found', `There is no collection ${id}.`);
  return collection;
}

/**
 * The collection that a request means: the one that it names, or the only one.
 * @throws {ProblemError} `collection-not-found`, `collection-required`
 */
export async function meantCollection(knex: Knex, id: string | undefined): Promise<Collection> {
  if (id !== undefined) return findCollection(knex, id);
  const [only, ...others] = await listCollections(knex);
  if (only === undefined) throw new ProblemError('collection-not-found', 'There is no collection yet.');
  if (others.length > 0) throw new ProblemError('collection-required');
  return only;
}

/** @throws {ProblemError} `collection-exists`, `request-invalid` for a schema that cannot be used */
export async function createCollection(knex: Knex, { schema, ...facts }: NewCollection): Promise<Collection> {
  const [created] = await knex('collections')
    .insert({ language: 'english', ...facts, ...schemaColumns(schema) })
    .onConflict('id')
    .ignore()
    .returning<Collection[]>('*');
  if (created === undefined) throw new ProblemError('collection-exists', `There is a collection ${facts.id}.`);
  return created;
}

/**
 * A new schema holds for what is ingested from now on.
 * @throws {ProblemError} `collection-not-found`, `request-invalid` for a schema that cannot be used
 */
export async function changeCollection(
  knex: Knex,
  id: string,
  { schema, ...facts }: CollectionChange,
): Promise<Collection> {
  await findCollection(knex, id);
  const columns = schema === undefined ? facts : { ...facts, ...schemaColumns(schema ?? undefined) };
  await knex('collections').where({ id }).update(columns);
  return findCollection(knex, id);
}

function schemaColumns(schema: object | undefined) {
  if (schema !== undefined) checkerOf(schema);
  return { schema: JSON.stringify(schema ?? DEFAULT_SCHEMA), schema_given: schema !== undefined };
}

interface CollectionFormats {
  /** How many documents have each of the formats that there are, by format. */
  counts: Record<string, number>;
  /** Those that may be asked for: a docset may still have what no current document has. */
  known: string[];
}

/** The formats that documents of the collection have, and those that may be asked for anyway. */
export async function formatsOf(knex: Knex, collection: string): Promise<CollectionFormats> {
  const rows = await knex('collection_formats')
    .where({ collection_id: collection })
    .orderBy('format')
    .select<{ format: string; documents: string }[]>('format', 'documents');
  const counts = rows.map(({ format, documents }) => [format, Number(documents)] as const);
  return {
    counts: Object.fromEntries(counts.filter(([, documents]) => documents > 0)),
    known: [...new Set([...WELL_KNOWN_FORMATS, ...rows.map(({ format }) => format)])],
  };
}

/** The metadata that the schema tells of, and those that documents have: what a query may name. */
export async function fieldsOf(knex: Knex, { id, schema }: Collection): Promise<Pick<Searchable, 'fields' | 'nested'>> {
  const met = await knex('collection_fields').where({ collection_id: id }).select<{ field: string }[]>('field');
  const paths = await knex('collection_paths').where({ collection_id: id }).select<{ path: string[] }[]>('path');
  const declared = declaredPaths(schema);
  const names = [...declared.flatMap(([name, ...rest]) => (rest.length === 0 ? (name ?? []) : []))];
  return {
    fields: [...new Set([...names, ...met.map(({ field }) => field)])].sort(),
    nested: [...declared.filter((path) => path.length > 1), ...paths.map(({ path }) => path)],
  };
}

/** How many documents there are of each year, in the order of the years; those of no year are left out. */
export async function yearsOf(knex: Knex, collection: string): Promise<{ year: number; documents: number }[]> {
  const rows = await knex('collection_years')
    .where({ collection_id: collection })
    .where('documents', '>', 0)
    .orderBy('year')
    .select<{ year: number; documents: string }[]>('year', 'documents');
  return rows.map(({ year, documents }) => ({ year, documents: Number(documents) }));
}
