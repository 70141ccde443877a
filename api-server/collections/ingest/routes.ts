/** Filling a collection over HTTP. */
import type { Request } from 'express';
import { ProblemError } from '../../http/problems.js';
import { param, queryParam, type Answer, type Route } from '../../http/route.js';
import type { Role } from '../../miners/caller.js';
import type { Parts } from '../../parts.js';
import { findCollection } from '../collections.js';
import { takeInWritten } from '../search-engine/take-in.js';
import { ingest, renewStatistics } from './ingest.js';
import { compareWithSource, findOpenRun, findRun, finishRun, startRun, type Compared, type IngestRun } from './runs.js';

const ADMINS: readonly Role[] = ['admin'];

export function ingestRoutes(parts: Parts): Route[] {
  const { knex } = parts;
  const collectionOf = (request: Request) => findCollection(knex, param(request, 'collection'));
  const runs = '/collections/:collection/ingests';
  return [
    { method: 'post', path: '/collections/:collection/documents', roles: ADMINS, handler: fill },
    { method: 'post', path: runs, roles: ADMINS, handler: start },
    { method: 'get', path: `${runs}/:ingest`, roles: ADMINS, handler: get },
    { method: 'post', path: `${runs}/:ingest/compare`, roles: ADMINS, handler: compare },
    { method: 'post', path: `${runs}/:ingest/finish`, roles: ADMINS, handler: finish },
  ];

  async function fill(request: Request): Promise<Answer> {
    if ((request.get('content-encoding') ?? 'identity') !== 'identity') {
      throw new ProblemError('media-type-not-supported', 'Send the lines as they are, without Content-Encoding.');
    }
    const collection = await collectionOf(request);
    const run = queryParam(request, 'ingest');
    const open = run === undefined ? undefined : await findOpenRun(knex, collection, run);
    const intake = parts.searchEngine.openIntake(collection);
    const report = await ingest({ ...parts, intake }, collection, request, open);
    return { json: { ...report, search_index: await takeInWritten(parts, collection, intake) } };
  }

  async function start(request: Request): Promise<Answer> {
    const run = await startRun(knex, await collectionOf(request));
    const json = describe(run);
    return { status: 201, headers: { Location: `/api${json.url}` }, json };
  }

  async function get(request: Request): Promise<Answer> {
    return { json: describe(await findRun(knex, await collectionOf(request), param(request, 'ingest'))) };
  }

  async function compare(request: Request): Promise<Answer> {
    const run = await findOpenRun(knex, await collectionOf(request), param(request, 'ingest'));
    const { documents } = request.body as { documents: Compared[] };
    return { json: await compareWithSource(knex, run, documents) };
  }

  async function finish(request: Request): Promise<Answer> {
    const collection = await collectionOf(request);
    const run = await findOpenRun(knex, collection, param(request, 'ingest'));
    const { withdraw, most = false } = request.body as { withdraw: boolean; most?: boolean };
    const finished = await finishRun(knex, run, { withdraw, most });
    await renewStatistics(parts, Infinity);
    return { json: { ...describe(finished), search_index: await takeInWritten(parts, collection) } };
  }
}

function describe({ id, collection_id, started, finished, withdrawn }: IngestRun) {
  return {
    url: `/collections/${collection_id}/ingests/${id}`,
    id,
    collection: collection_id,
    started: started.toISOString(),
    finished: finished?.toISOString() ?? null,
    withdrawn: withdrawn === null ? null : Number(withdrawn),
  };
}
