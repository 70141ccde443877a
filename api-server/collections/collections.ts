/** Collections: what there is to search and to make docsets of. */
import type { Knex } from 'knex';
import { ProblemError } from '../http/problems.js';

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

/** What a document has at the least. */
const DEFAULT_SCHEMA = {
  $schema: 'http://json-schema.org/draft-04/schema#',
  type: 'object',
  properties: { title: { type: 'string' }, creator: { type: 'string' }, date: { type: 'string' } },
};

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

/** @throws {ProblemError} `collection-exists` */
export async function createCollection(knex: Knex, collection: NewCollection): Promise<Collection> {
  const [created] = await knex('collections')
    .insert({
      language: 'english',
      ...collection,
      schema: JSON.stringify(collection.schema ?? DEFAULT_SCHEMA),
    })
    .onConflict('id')
    .ignore()
    .returning<Collection[]>('*');
  if (created === undefined) throw new ProblemError('collection-exists', `There is a collection ${collection.id}.`);
  return created;
}

export async function countDocuments(knex: Knex, collection: string): Promise<number> {
  const row = await knex('documents')
    .where({ collection_id: collection, current: true })
    .count<{ count: string }[]>({ count: '*' })
    .first();
  return Number(row?.count ?? 0);
}

/** How many documents each collection has, by its id. */
export async function countByCollection(knex: Knex): Promise<Map<string, number>> {
  const rows = await knex('documents')
    .where({ current: true })
    .groupBy('collection_id')
    .select<{ id: string; count: string }[]>('collection_id as id', knex.raw('count(*)'));
  return new Map(rows.map(({ id, count }) => [id, Number(count)]));
}

/** The formats that documents of the collection have, and those that may be asked for anyway. */
export async function formatsOf(knex: Knex, collection: string): Promise<{ present: string[]; known: string[] }> {
  const rows = await knex('collection_formats')
    .where({ collection_id: collection })
    .orderBy('format')
    .select<{ format: string }[]>('format');
  const present = rows.map(({ format }) => format);
  return { present, known: [...new Set([...WELL_KNOWN_FORMATS, ...present])] };
}

/** Names of the metadata that the schema tells of, and of those that documents have: what a query may name. */
export async function fieldsOf(knex: Knex, { id, schema }: Collection): Promise<string[]> {
  const rows = await knex('collection_fields').where({ collection_id: id }).select<{ field: string }[]>('field');
  const declared =
    'properties' in schema && typeof schema.properties === 'object' && schema.properties !== null
      ? Object.keys(schema.properties)
      : [];
  return [...new Set([...declared, ...rows.map(({ field }) => field)])].sort();
}

/** How many documents there are of each year, in the order of the years; those of no year are left out. */
export async function yearsOf(knex: Knex, collection: string): Promise<{ year: number; documents: number }[]> {
  const rows = await knex('documents')
    .where({ collection_id: collection, current: true })
    .whereNotNull('year')
    .groupBy('year')
    .orderBy('year')
    .select<{ year: number; documents: string }[]>('year', knex.raw('count(*) as documents'));
  return rows.map(({ year, documents }) => ({ year, documents: Number(documents) }));
}
