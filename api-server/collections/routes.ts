/** Collections over HTTP. */
import type { Request } from 'express';
import { ProblemError } from '../http/problems.js';
import { ANY_ROLE, MINERS } from '../miners/caller.js';
import type { Answer, Route } from '../http/route.js';
import { param } from '../http/route.js';
import type { Parts } from '../parts.js';
import {
  countByCollection,
  countDocuments,
  createCollection,
  fieldsOf,
  findCollection,
  formatsOf,
  listCollections,
  yearsOf,
  type Collection,
  type NewCollection,
} from './collections.js';
import { ingest } from './ingest/ingest.js';
import { search, type Search } from './search.js';

export function collectionRoutes(parts: Parts): Route[] {
  const { knex } = parts;
  return [
    { method: 'get', path: '/collections', roles: ANY_ROLE, handler: list },
    { method: 'post', path: '/collections', roles: ['admin'], handler: create },
    { method: 'get', path: '/collections/:collection', roles: ANY_ROLE, handler: get },
    { method: 'get', path: '/collections/:collection/schema', roles: ANY_ROLE, handler: schema },
    { method: 'post', path: '/collections/:collection/search', roles: MINERS, handler: find },
    { method: 'post', path: '/collections/:collection/documents', roles: ['admin'], handler: fill },
  ];

  async function list(): Promise<Answer> {
    const collections = await listCollections(knex);
    const counts = await countByCollection(knex);
    return {
      json: collections.map(({ id, name, description }) => ({
        url: `/collections/${id}`,
        id,
        name,
        description,
        documents: counts.get(id) ?? 0,
      })),
    };
  }

  async function create(request: Request): Promise<Answer> {
    const collection = await createCollection(knex, request.body as NewCollection);
    const headers = { Location: `/api/collections/${collection.id}` };
    return { status: 201, headers, json: { create: 'success', ...(await describe(collection)) } };
  }

  async function get(request: Request): Promise<Answer> {
    return { json: await describe(await findCollection(knex, param(request, 'collection'))) };
  }

  async function schema(request: Request): Promise<Answer> {
    return { json: (await findCollection(knex, param(request, 'collection'))).schema };
  }

  async function find(request: Request): Promise<Answer> {
    const collection = await findCollection(knex, param(request, 'collection'));
    return { json: await search(parts, collection, request.body as Search) };
  }

  async function fill(request: Request): Promise<Answer> {
    if ((request.get('content-encoding') ?? 'identity') !== 'identity') {
      throw new ProblemError('media-type-not-supported', 'Send the lines as they are, without Content-Encoding.');
    }
    const collection = await findCollection(knex, param(request, 'collection'));
    return { json: await ingest(parts, collection, request) };
  }

  async function describe(collection: Collection): Promise<object> {
    const { id, name, description, source, licence, language, created } = collection;
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
      documents: await countDocuments(knex, id),
      formats: (await formatsOf(knex, id)).present,
      fields: await fieldsOf(knex, collection),
      years: await yearsOf(knex, id),
      revision: Number(collection.revision),
      created: created.toISOString(),
    };
  }
}
