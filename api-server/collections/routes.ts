/** Collections over HTTP. */
import type { Request } from 'express';
import { ANY_ROLE, MINERS } from '../miners/caller.js';
import type { Answer, Route } from '../http/route.js';
import { param } from '../http/route.js';
import type { Parts } from '../parts.js';
import {
  changeCollection,
  createCollection,
  fieldsOf,
  findCollection,
  formatsOf,
  listCollections,
  yearsOf,
  type Collection,
  type CollectionChange,
  type NewCollection,
} from './collections.js';
import { ingestRoutes } from './ingest/routes.js';
import { schemaOf } from './metadata-schema.js';
import { namesOf } from './query/fields.js';
import { takeInWritten } from './search-engine/take-in.js';
import { search, type Search } from './search.js';
import { watchRoutes } from './watches/routes.js';

export function collectionRoutes(parts: Parts): Route[] {
  const { knex } = parts;
  return [
    { method: 'get', path: '/collections', roles: ANY_ROLE, handler: list },
    { method: 'post', path: '/collections', roles: ['admin'], handler: create },
    { method: 'get', path: '/collections/:collection', roles: ANY_ROLE, handler: get },
    { method: 'patch', path: '/collections/:collection', roles: ['admin'], handler: change },
    { method: 'get', path: '/collections/:collection/schema', roles: ANY_ROLE, handler: schema },
    { method: 'post', path: '/collections/:collection/search', roles: MINERS, handler: find },
    ...ingestRoutes(parts),
    ...watchRoutes(parts),
  ];

  async function list(): Promise<Answer> {
    const collections = await listCollections(knex);
    return {
      json: collections.map(({ id, name, description, documents }) => ({
        url: `/collections/${id}`,
        id,
        name,
        description,
        documents: Number(documents),
      })),
    };
  }

  async function create(request: Request): Promise<Answer> {
    const collection = await createCollection(knex, request.body as NewCollection);
    await takeInWritten(parts, collection);
    const headers = { Location: `/api/collections/${collection.id}` };
    return { status: 201, headers, json: { create: 'success', ...(await describe(collection)) } };
  }

  async function get(request: Request): Promise<Answer> {
    return { json: await describe(await findCollection(knex, param(request, 'collection'))) };
  }

  async function change(request: Request): Promise<Answer> {
    const collection = await changeCollection(knex, param(request, 'collection'), request.body as CollectionChange);
    return { json: await describe(collection) };
  }

  async function schema(request: Request): Promise<Answer> {
    return { json: await schemaOf(knex, await findCollection(knex, param(request, 'collection'))) };
  }

  async function find(request: Request): Promise<Answer> {
    const collection = await findCollection(knex, param(request, 'collection'));
    return { json: await search(parts, collection, request.body as Search) };
  }

  async function describe(collection: Collection): Promise<object> {
    const { id, name, description, source, licence, language, created } = collection;
    const { counts } = await formatsOf(knex, id);
    const url = `/collections/${id}`;
    return {
      url,
      schema_url: `${url}/schema`,
      search_url: `${url}/search`,
      id,
      name,
      description,
      source,
      licence,
      language,
      schema_given: collection.schema_given,
      documents: Number(collection.documents),
      formats: Object.keys(counts),
      documents_by_format: counts,
      fields: namesOf(await fieldsOf(knex, collection)),
      years: await yearsOf(knex, id),
      revision: Number(collection.revision),
      created: created.toISOString(),
    };
  }
}
