/** Dumps over HTTP (design §5). */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { DEFAULT_CONTAINER, parseContainer, type Container } from '../../queue-config/index.js';
import { prepared } from '../db/prepared.js';
import { countDelta, type DeltaCounts } from '../docsets/delta.js';
import { ownDocset, ownDocsetOf, type DocsetFacts } from '../docsets/docsets.js';
import { DEFAULT_FORMATS, namedFormats, requireKnown, wantedFormats } from '../docsets/formats.js';
import { nextLink, readPage } from '../http/paging.js';
import { ProblemError } from '../http/problems.js';
import { originOf, param, queryParam, type Answer, type Route } from '../http/route.js';
import { MINERS, type Caller } from '../miners/caller.js';
import type { PollLimit } from '../miners/poll-limit.js';
import { ArchiveStoreError, LINK_LIFETIME } from './archive-links/archive-links.js';
import { dismissDump } from './dismiss-dump.js';
import { asOf, isLive, type Dump } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import type { LookUpRow, Wanted } from './dump-store.js';
import { estimateDump } from './estimate.js';
import { explainEmpty } from './explain-empty.js';
import { findEarlier } from './find-earlier.js';
import { pollDump, type PollResult } from './poll-dump.js';
import { requestDump } from './request-dump.js';
import {
  archivePath,
  dumpPath,
  estimateBody,
  linkBody,
  progressHeader,
  retryAfter,
  statusBody,
  type ArchiveLink,
} from './status-body.js';
import { waitUntilDone } from './wait-until-done.js';

const DUMPS_ON_A_PAGE = 100;

export function dumpRoutes(parts: DumpParts, knex: Knex, limitPolls: PollLimit): Route[] {
  const roles = MINERS;
  /** The docset that a request names, and its newest dump that it means. */
  const lookUp = (request: Request, wanted: Wanted): Knex.QueryBuilder<object, LookUpRow[]> =>
    parts.store.lookUp(param(request, 'docset'), wanted);
  const readFound = async (
    request: Request,
    caller: Caller,
    wanted: Wanted,
    row: object | undefined,
  ): Promise<{ docset: DocsetFacts; newest: Dump | undefined }> => {
    const found = (row as LookUpRow | undefined) ?? (await prepared(lookUp(request, wanted)).then(([first]) => first));
    const docset = ownDocsetOf(found, param(request, 'docset'), caller);
    await requireKnown(knex, wanted.formats ?? [], docset.collection_id);
    return { docset, newest: found === undefined ? undefined : parts.store.foundBy(found) };
  };
  const readsMeant = (request: Request): Knex.QueryBuilder => lookUp(request, meantBy(request));
  const findDump = async (request: Request, caller: Caller, row: object | undefined): Promise<Dump> => {
    const meant = meantBy(request);
    const { docset, newest } = await readFound(request, caller, meant, row);
    if (newest !== undefined) return newest;
    const { formats, container, since } = meant;
    const how = dumpPath({
      docset: docset.id,
      formats: formats ?? [...DEFAULT_FORMATS],
      container: container ?? DEFAULT_CONTAINER,
      since: since ?? null,
    });
    throw new ProblemError(
      'dump-not-requested',
      `No dump of docset ${docset.id} was asked for${formats ? ` in ${formats.join(', ')}` : ''}${container ? ` as ${container}` : ''}${since ? ` since ${since}` : ''}. POST ${how} asks for one; then poll it with GET.`,
      { request: { method: 'POST', href: how } },
    );
  };
  const poll = async (request: Request, caller: Caller, row: object | undefined): Promise<PollResult> =>
    pollDump(parts, await findDump(request, caller, row));
  return [
    {
      method: 'post',
      path: '/docsets/:docset/dump',
      roles,
      reads: (request) => lookUp(request, askedFor(request)),
      handler: async (request, caller, row) => {
        const wanted = askedFor(request);
        const { docset, newest } = await readFound(request, caller, wanted, row);
        const { formats, container } = wanted;
        const dump = wanted.since;
        const compare = async (since: string): Promise<DeltaCounts> =>
          countDelta(knex, docset.id, await findEarlier(parts, knex, { docset, formats, dump: since }));
        const asked = await requestDump(parts, {
          docset,
          formats,
          container,
          since: dump === null ? null : { dump, compare: () => compare(dump) },
          newest,
          explainEmpty: () => explainEmpty(knex, docset, formats),
          force: queryParam(request, 'force') === 'true',
          place: { owner: caller.id, limit: caller.quota.dumpsAtOnce },
          traceparent: traceparentOf(request),
        });
        return statusAnswer(parts, await waitUntilDone(parts, asked, request), caller);
      },
    },
    {
      method: 'get',
      path: '/docsets/:docset/dump',
      roles,
      reads: readsMeant,
      handler: async (request, caller, row) => {
        const dump = await findDump(request, caller, row);
        // One that is over costs nothing that would need a limit.
        if (isLive(dump)) limitPolls(caller, dump.id);
        const result = await pollDump(parts, dump);
        if (request.accepts(['application/json', 'application/zip']) === 'application/zip' && !isLive(result.dump)) {
          return archiveAnswer(parts, result, request);
        }
        return statusAnswer(parts, await waitUntilDone(parts, result, request), caller);
      },
    },
    {
      method: 'get',
      path: '/docsets/:docset/dump/archive',
      roles,
      reads: readsMeant,
      handler: async (request, caller, row) => archiveAnswer(parts, await poll(request, caller, row), request),
    },
    {
      method: 'get',
      path: '/docsets/:docset/dump/archive/link',
      roles,
      reads: readsMeant,
      handler: async (request, caller, row) => {
        const { dump } = await poll(request, caller, row);
        return { json: linkBody(dump, await archiveLink(parts, dump, request)) };
      },
    },
    {
      method: 'get',
      path: '/docsets/:docset/dump/estimate',
      roles,
      handler: async (request, caller) => {
        const docset = await ownDocset(knex, param(request, 'docset'), caller);
        const { formats, container, since: dump } = askedFor(request);
        await requireKnown(knex, formats, docset.collection_id);
        const since = dump === null ? undefined : await findEarlier(parts, knex, { docset, formats, dump });
        const estimate = await estimateDump(knex, { docset, formats, container, since });
        return { json: estimateBody({ docset: docset.id, formats, container, since: dump }, estimate) };
      },
    },
    {
      method: 'delete',
      path: '/docsets/:docset/dump',
      roles,
      reads: readsMeant,
      handler: async (request, caller, row) => {
        const dump = await dismissDump(parts, await findDump(request, caller, row));
        return { json: statusBody({ dump, stale: false }, caller) };
      },
    },
    {
      method: 'get',
      path: '/dumps',
      roles,
      handler: async (request, caller) => {
        const { limit, after } = readPage(request, DUMPS_ON_A_PAGE);
        // One more than asked for tells whether there is a next page.
        const found = await parts.store.ofOwner(caller.id, limit + 1, after === undefined ? after : readPlace(after));
        const dumps = found.slice(0, limit);
        const last = dumps.at(-1);
        const headers = nextLink(request, found.length > limit && last !== undefined ? placeOf(last) : undefined);
        // As last known: only a poll of a dump asks for news of it.
        const now = parts.store.now();
        const bodies = dumps.map((dump) => statusBody({ dump: asOf(dump, now), stale: isLive(dump) }, caller));
        return { headers, json: { dumps: bodies } };
      },
    },
  ];
}

/** Where a dump stands in the list of a miner's. */
const placeOf = ({ created, id }: Dump): string => `${created.toISOString()} ${id}`;

/** @throws {ProblemError} `cursor-invalid` */
function readPlace(text: string): Pick<Dump, 'created' | 'id'> {
  const [moment = '', id = ''] = text.split(' ');
  const created = new Date(moment);
  if (Number.isNaN(created.getTime()) || `${created.toISOString()} ${id}` !== text) {
    throw new ProblemError('cursor-invalid');
  }
  return { created, id };
}

/** 202 while the dump is being made, 200 once it is over, however it ended. */
function statusAnswer({ store }: DumpParts, result: PollResult, caller: Caller): Answer {
  const { dump } = result;
  const headers = { Location: dumpPath(dump) };
  const json = statusBody(result, caller);
  if (!isLive(dump)) return { status: 200, headers, json };
  return {
    status: 202,
    headers: { ...headers, 'Retry-After': String(retryAfter(dump, store.now())), 'X-Progress': progressHeader(dump) },
    json,
  };
}

async function archiveAnswer(parts: DumpParts, { dump }: PollResult, request: Request): Promise<Answer> {
  const { href, isOurs } = await archiveLink(parts, dump, request);
  return { status: 303, headers: { Location: href, ...(isOurs ? { 'Content-Location': archivePath(dump) } : {}) } };
}

/** @throws {ProblemError} where there is no archive, or not yet, or no longer */
async function archiveLink(parts: DumpParts, dump: Dump, request: Request): Promise<ArchiveLink> {
  const { outcome } = dump;
  switch (outcome.status) {
    case 'accepted':
    case 'running':
      throw new ProblemError(
        'result-not-ready',
        undefined,
        { status_href: dumpPath(dump) },
        {
          headers: { 'Retry-After': String(retryAfter(dump, parts.store.now())) },
        },
      );
    case 'failed':
    case 'dismissed':
      throw new ProblemError('dump-not-successful', undefined, { status_href: dumpPath(dump) });
    case 'expired':
      throw new ProblemError('archive-expired');
    case 'successful': {
      const { archive } = outcome;
      if (archive.kind === 'foreign') return { href: archive.url, isOurs: false, filename: null, expires: null };
      if (!(await isStored(parts, archive))) throw new ProblemError('archive-expired');
      const delta = dump.since === null ? '' : '-delta';
      const filename = `docset-${dump.docset}-${dump.formats.join('-')}${delta}.${dump.container}`;
      const expires = new Date(Date.now() + LINK_LIFETIME * 1_000);
      const href = await parts.links.sign({ ...archive, filename }, originOf(request));
      return { href, isOurs: true, filename, expires };
    }
  }
}

/** A link that leads nowhere is worse than a clear answer. */
async function isStored({ links }: DumpParts, archive: { key: string; size: number }): Promise<boolean> {
  try {
    return await links.has(archive);
  } catch (cause) {
    if (!(cause instanceof ArchiveStoreError)) throw cause;
    throw new ProblemError('storage-unavailable', undefined, {}, { cause, headers: { 'Retry-After': '10' } });
  }
}

/** The dump that a request asks for. */
function askedFor(request: Request): { formats: string[]; container: Container; since: string | null } {
  return {
    formats: wantedFormats(request).toSorted(),
    container: containerOf(request) ?? DEFAULT_CONTAINER,
    since: queryParam(request, 'since') ?? null,
  };
}

/** The dump that is spoken of: the newest. Where formats are named: of these, a zip and of the whole docset unless it says otherwise. */
function meantBy(request: Request): Wanted {
  if (namedFormats(request) !== undefined) return askedFor(request);
  return { container: containerOf(request), since: queryParam(request, 'since') };
}

const containerOf = (request: Request): Container | undefined => parseContainer(queryParam(request, 'archive'));

const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

function traceparentOf(request: Request): string | undefined {
  const given = request.get('traceparent');
  return given !== undefined && TRACEPARENT.test(given) ? given : undefined;
}
