/** Finds out who is asking, by the key in `X-API-Key` or `Authorization: Bearer`. */
import type { Request } from 'express';
import type { Knex } from 'knex';
import { prepared } from '../db/prepared.js';
import type { Parts } from '../parts.js';
import { ProblemError, type ProblemSlug } from '../http/problems.js';
import type { Caller, Role } from './caller.js';
import { digestOf, isSameDigest, keyId } from './keys.js';
import type { Quota } from './miners.js';

// RFC 9110, 11.6.1: a 401 names the schemes that would do.
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="adit"' };

const UNLIMITED = { documentsPerMinute: Infinity, dumpsAtOnce: Infinity };

interface FoundKey {
  'key.miner': string;
  'key.role': Role;
  'key.documentsPerMinute': Quota['documentsPerMinute'];
  'key.dumpsAtOnce': Quota['dumpsAtOnce'];
  'key.hash': Buffer;
  'key.isRevoked': boolean;
  'key.isExpired': boolean;
}

export interface Authenticated {
  caller: Caller;
  /** What was read along with the key, all null where that found nothing; undefined where nothing was read. */
  row: object | undefined;
}

/**
 * @returns a function that resolves to the caller, or throws `key-missing`, `key-invalid` or `key-expired`; `along` is a query for one
 *   row that is read in the same statement
 */
export function authentication({ config, knex }: Pick<Parts, 'config' | 'knex'>) {
  const packagerDigest = digestOf(config.packagerKey);

  return async (request: Request, along?: Knex.QueryBuilder): Promise<Authenticated> => {
    const key = sentKey(request);
    if (key === undefined) throw refused('key-missing');
    const digest = digestOf(key);
    if (isSameDigest(digest, packagerDigest)) {
      const caller: Caller = { id: 'packager', role: 'packager', key: 'packager', quota: UNLIMITED };
      return { caller, row: undefined };
    }
    const id = keyId(key);
    const found = id === undefined ? undefined : await findKey(knex, id, along);
    // Only who holds the whole key hears that it was good once.
    if (id === undefined || found === undefined || !isSameDigest(digest, found['key.hash']) || found['key.isRevoked']) {
      throw refused('key-invalid');
    }
    if (found['key.isExpired']) throw refused('key-expired');
    const caller = { id: found['key.miner'], role: found['key.role'], key: id, quota: quotaOf(found, config.quota) };
    return { caller, row: along === undefined ? undefined : found };
  };
}

/** One statement: who is asking is found out at each request, the poll too. */
function findKey(knex: Knex, id: string, along: Knex.QueryBuilder | undefined): Promise<FoundKey | undefined> {
  const query = knex('keys as k')
    .join('miners as m', 'm.id', 'k.miner_id')
    .where('k.id', id)
    .select({
      'key.miner': 'm.id',
      'key.role': 'm.role',
      'key.documentsPerMinute': 'm.documents_per_minute',
      'key.dumpsAtOnce': 'm.dumps_at_once',
      'key.hash': 'k.hash',
      'key.isRevoked': knex.raw('k.revoked is not null'),
      'key.isExpired': knex.raw('coalesce(k.expires <= now(), false)'),
    });
  if (along !== undefined) void query.leftJoin(along.as('along'), knex.raw('true')).select('along.*');
  return prepared(query).then(([found]: FoundKey[]) => found);
}

function quotaOf(found: FoundKey, usual: Caller['quota']): Caller['quota'] {
  if (found['key.role'] === 'packager') return UNLIMITED;
  return {
    documentsPerMinute: found['key.documentsPerMinute'] ?? usual.documentsPerMinute,
    dumpsAtOnce: found['key.dumpsAtOnce'] ?? usual.dumpsAtOnce,
  };
}

const refused = (slug: ProblemSlug): ProblemError => new ProblemError(slug, undefined, {}, { headers: CHALLENGE });

function sentKey(request: Request): string | undefined {
  const key = request.get('x-api-key') ?? /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '')?.[1];
  return key === '' ? undefined : key;
}
