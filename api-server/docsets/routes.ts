/** Docsets over HTTP. */
import type { Request } from 'express';
import { findCollection } from '../collections/collections.js';
import { refuseUnwantedDump } from '../http/dump-header.js';
import { nextLink, readPage } from '../http/paging.js';
import { ProblemError } from '../http/problems.js';
import { originOf, param, queryParam, type Answer, type Handler, type Route } from '../http/route.js';
import { ANY_ROLE, MINERS, type Caller } from '../miners/caller.js';
import type { Parts } from '../parts.js';
import {
  deleteDocset,
  findDocset,
  findEvenDeleted,
  listDocsets,
  ownDocset,
  renameDocset,
  type Docset,
} from './docsets.js';
import { CITATION_TYPES, cite, type CitationFormat } from './citation.js';
import { countDelta } from './delta.js';
import { knownAnswer, validatorsOf } from './entity-tag.js';
import { requireKnown, wantedFormats } from './formats.js';
import { listingDocument, listingLines, type Since } from './listing.js';
import { makeDocset } from './make-docset.js';
import { NDJSON, sendTable } from './send-table.js';
import { findSince, refuseOtherCollection } from './since.js';
import { CATALOG, MEMBERS, UNKNOWN, type Table } from './tables.js';
import { readWish } from './wish.js';

const DOCSETS_ON_A_PAGE = 100;

interface Rename {
  name?: string | null;
  description?: string | null;
}

export function docsetRoutes(parts: Parts): Route[] {
  const { knex } = parts;
  return [
    { method: 'get', path: '/docsets', roles: MINERS, handler: list },
    { method: 'post', path: '/docsets', roles: MINERS, handler: make },
    { method: 'get', path: '/docsets/:docset', roles: ANY_ROLE, handler: get },
    { method: 'patch', path: '/docsets/:docset', roles: MINERS, handler: rename },
    { method: 'put', path: '/docsets/:docset', roles: MINERS, handler: rename },
    { method: 'delete', path: '/docsets/:docset', roles: MINERS, handler: remove },
    { method: 'get', path: '/docsets/:docset/members', roles: MINERS, handler: tableOf(MEMBERS) },
    { method: 'get', path: '/docsets/:docset/catalog', roles: MINERS, handler: tableOf(CATALOG) },
    { method: 'get', path: '/docsets/:docset/unknown', roles: MINERS, handler: tableOf(UNKNOWN) },
    { method: 'get', path: '/docsets/:docset/citation', roles: MINERS, handler: citation },
  ];

  async function list(request: Request, caller: Caller): Promise<Answer> {
    const { limit, after } = readPage(request, DOCSETS_ON_A_PAGE);
    if (after !== undefined && !/^[1-9]\d{0,17}$/.test(after)) throw new ProblemError('cursor-invalid');
    // One more than asked for tells whether there is a next page.
    const found = await listDocsets(knex, caller.id, { limit: limit + 1, after });
    const docsets = found.slice(0, limit);
    const headers = nextLink(request, found.length > limit ? docsets.at(-1)?.id : undefined);
    return { headers, json: { docsets: docsets.map((docset) => describe(docset)) } };
  }

  async function make(request: Request, caller: Caller): Promise<Answer> {
    const { facts, origin } = readWish(request);
    const id = await makeDocset(parts, caller, facts, origin);
    const headers = { Location: `/api/docsets/${id}` };
    return { status: 201, headers, json: { create: 'success', ...describe(await findDocset(knex, id)) } };
  }

  async function get(request: Request, caller: Caller): Promise<Answer> {
    const docset = await readable(request, caller);
    const since = await sinceOf(request, caller, docset);
    const formats = wantedFormats(request);
    await requireKnown(knex, formats, docset.collection_id);
    const headers = { Vary: 'Accept' };
    if (request.accepts(['application/json', NDJSON]) === NDJSON) {
      const collection = await findCollection(knex, docset.collection_id);
      const stream = listingLines(knex, docset, collection, {
        formats,
        origin: originOf(request),
        publicUrl: parts.config.publicUrl,
        bucket: parts.content.bucket,
        since,
      });
      return { headers: { ...headers, 'Content-Type': NDJSON }, stream };
    }
    if (caller.role !== 'packager') {
      const validators = validatorsOf(docset, ['docset', docset.owner_name ?? '', JSON.stringify(since)]);
      return knownAnswer(request, validators) ?? { headers: validators, json: describe(docset, since) };
    }
    const stream = listingDocument(knex, docset, describe(docset, since), since);
    return { headers: { ...headers, 'Content-Type': 'application/json' }, stream };
  }

  async function rename(request: Request, caller: Caller): Promise<Answer> {
    const { id } = await ownDocset(knex, param(request, 'docset'), caller);
    const body = request.body as Rename & { docset?: Rename };
    const { name, description } = body.docset ?? body;
    await renameDocset(knex, id, {
      ...(name === undefined ? {} : { name }),
      ...(description === undefined ? {} : { description }),
    });
    return { json: { update: 'success', ...describe(await findDocset(knex, id)) } };
  }

  async function remove(request: Request, caller: Caller): Promise<Answer> {
    const { id } = await ownDocset(knex, param(request, 'docset'), caller);
    await parts.dumps.endDumpsOf(id);
    await deleteDocset(knex, id);
    return { json: { delete: 'ok' } };
  }

  function tableOf<Row>(table: Table<Row>): Handler {
    return async (request, caller) => {
      const docset = await ownDocset(knex, param(request, 'docset'), caller);
      const { publicUrl } = parts.config;
      return sendTable(knex, request, { table, docset, head: describe(docset), publicUrl });
    };
  }

  async function citation(request: Request, caller: Caller): Promise<Answer> {
    const docset = await ownDocset(knex, param(request, 'docset'), caller);
    const dumpId = queryParam(request, 'dump');
    const dump = dumpId === undefined ? undefined : await parts.dumps.packedDump(docset.id, dumpId);
    const collection = await findCollection(knex, docset.collection_id);
    const format = citationFormat(request);
    const bytes = cite({ docset, collection, dump, publicUrl: parts.config.publicUrl }, format);
    // A person may open it: what a miner named the docset must never be taken for HTML.
    const headers = { 'Content-Type': `${CITATION_TYPES[format]}; charset=utf-8`, Vary: 'Accept' };
    return { headers, bytes };
  }

  /** What `since` names: the docset of an earlier dump, which a miner has to own too. */
  async function sinceOf(request: Request, caller: Caller, docset: Docset): Promise<Since | undefined> {
    const dump = queryParam(request, 'since');
    if (dump === undefined) return undefined;
    const earlier = await findSince(parts, dump);
    if (caller.role !== 'packager' && earlier.owner !== caller.id) throw new ProblemError('not-your-docset');
    refuseOtherCollection(docset, earlier);
    return { dump, docset: earlier.id, ...(await countDelta(knex, docset.id, earlier.id)) };
  }

  /** A packager reads any docset, a miner only their own. */
  async function readable(request: Request, caller: Caller): Promise<Docset> {
    const id = param(request, 'docset');
    if (caller.role !== 'packager') return ownDocset(knex, id, caller);
    await refuseUnwantedDump(parts, request, caller);
    const docset = await findEvenDeleted(knex, id);
    if (docset !== undefined && docset.deleted !== null) {
      throw new ProblemError('dump-gone', `Docset ${id} was deleted.`);
    }
    return docset ?? findDocset(knex, id);
  }
}

/** What the query says, or `Accept`; a sentence where neither does. */
function citationFormat(request: Request): CitationFormat {
  const formats = Object.keys(CITATION_TYPES) as CitationFormat[];
  const asked = queryParam(request, 'format');
  const accepted = request.accepts(Object.values(CITATION_TYPES));
  return (
    formats.find((format) => (asked === undefined ? CITATION_TYPES[format] === accepted : format === asked)) ?? 'text'
  );
}

/** `url`, `name`, `generator` and `owner` are where the clients of the first Adit look for them. */
function describe(docset: Docset, since?: Since): object {
  const { id, name, generator, description, query, revision, members, unknown, created, updated } = docset;
  return {
    url: `/docsets/${id}`,
    id,
    name,
    generator,
    owner: docset.owner_name ?? docset.owner,
    description,
    collection: docset.collection_id,
    collection_revision: docset.collection_revision,
    query,
    documents: members,
    unknown,
    revision,
    created: created.toISOString(),
    updated: updated.toISOString(),
    ...(since === undefined ? {} : { since }),
  };
}
