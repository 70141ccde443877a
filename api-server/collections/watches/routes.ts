/** Watches over HTTP. */
import type { Request } from 'express';
import { nextLink, readPage } from '../../http/paging.js';
import { ProblemError } from '../../http/problems.js';
import { param, type Answer, type Route } from '../../http/route.js';
import { MINERS, type Caller } from '../../miners/caller.js';
import type { Parts } from '../../parts.js';
import { findCollection } from '../collections.js';
import { newsOf } from './news.js';
import {
  changeWatch,
  deleteWatch,
  listWatches,
  makeWatch,
  ownWatch,
  type NewWatch,
  type Watch,
  type WatchChange,
} from './watches.js';

const ON_A_PAGE = 100;

export function watchRoutes({ knex }: Parts): Route[] {
  return [
    { method: 'get', path: '/collections/:collection/watch', roles: MINERS, handler: list },
    { method: 'post', path: '/collections/:collection/watch', roles: MINERS, handler: make },
    { method: 'get', path: '/watches/:watch', roles: MINERS, handler: get },
    { method: 'patch', path: '/watches/:watch', roles: MINERS, handler: change },
    { method: 'delete', path: '/watches/:watch', roles: MINERS, handler: remove },
  ];

  async function list(request: Request, caller: Caller): Promise<Answer> {
    const collection = await findCollection(knex, param(request, 'collection'));
    const { limit, after } = readPage(request, ON_A_PAGE);
    if (after !== undefined && !/^[1-9]\d{0,17}$/.test(after)) throw new ProblemError('cursor-invalid');
    const found = await listWatches(knex, caller.id, collection, { limit: limit + 1, after });
    const watches = found.slice(0, limit);
    const headers = nextLink(request, found.length > limit ? watches.at(-1)?.id : undefined);
    return { headers, json: { watches: watches.map(describe) } };
  }

  async function make(request: Request, caller: Caller): Promise<Answer> {
    const collection = await findCollection(knex, param(request, 'collection'));
    const json = describe(await makeWatch(knex, caller, collection, request.body as NewWatch));
    return { status: 201, headers: { Location: `/api${json.url}` }, json: { create: 'success', ...json } };
  }

  async function get(request: Request, caller: Caller): Promise<Answer> {
    const watch = await ownWatch(knex, param(request, 'watch'), caller);
    const { limit, after } = readPage(request, ON_A_PAGE);
    const { until, counts, documents } = await newsOf(knex, watch, { limit, after });
    const page = documents.slice(0, limit);
    const headers = nextLink(request, documents.length > limit ? page.at(-1)?.ref : undefined);
    const told = page.map((item) => ({ ...item, url: `/documents/${item.id}` }));
    return { headers, json: { ...describe(watch), until, ...counts, documents: told } };
  }

  async function change(request: Request, caller: Caller): Promise<Answer> {
    const watch = await ownWatch(knex, param(request, 'watch'), caller);
    const collection = await findCollection(knex, watch.collection_id);
    return { json: describe(await changeWatch(knex, watch, collection, request.body as WatchChange)) };
  }

  async function remove(request: Request, caller: Caller): Promise<Answer> {
    await deleteWatch(knex, await ownWatch(knex, param(request, 'watch'), caller));
    return { json: { delete: 'ok' } };
  }
}

function describe({ id, collection_id, name, query, since, created }: Watch) {
  return {
    url: `/watches/${id}`,
    collection_url: `/collections/${collection_id}`,
    id,
    name,
    query,
    since,
    created: created.toISOString(),
  };
}
