/** Finds out who is asking, by the key in `X-API-Key` or `Authorization: Bearer`. */
import type { Request } from 'express';
import type { Parts } from '../parts.js';
import { ProblemError, type ProblemSlug } from '../http/problems.js';
import type { Caller, Role } from './caller.js';
import { digestOf, isSameDigest, keyId } from './keys.js';
import type { Quota } from './miners.js';

// RFC 9110, 11.6.1: a 401 names the schemes that would do.
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="adit"' };

const UNLIMITED = { documentsPerMinute: Infinity, dumpsAtOnce: Infinity };

interface FoundKey extends Quota {
  miner: string;
  role: Role;
  hash: Buffer;
  isRevoked: boolean;
  isExpired: boolean;
}

/** @returns a function that resolves to the caller, or throws `key-missing`, `key-invalid` or `key-expired` */
export function authentication({ config, knex }: Pick<Parts, 'config' | 'knex'>) {
  const packagerDigest = digestOf(config.packagerKey);

  return async (request: Request): Promise<Caller> => {
    const key = sentKey(request);
    if (key === undefined) throw refused('key-missing');
    const digest = digestOf(key);
    if (isSameDigest(digest, packagerDigest)) {
      return { id: 'packager', role: 'packager', key: 'packager', quota: UNLIMITED };
    }
    const id = keyId(key);
    const found = id === undefined ? undefined : await findKey(knex, id);
    // Only who holds the whole key hears that it was good once.
    if (id === undefined || found === undefined || !isSameDigest(digest, found.hash) || found.isRevoked) {
      throw refused('key-invalid');
    }
    if (found.isExpired) throw refused('key-expired');
    return { id: found.miner, role: found.role, key: id, quota: quotaOf(found, config.quota) };
  };
}

/** One statement: who is asking is found out at each request, the poll too. */
const findKey = (knex: Parts['knex'], id: string): Promise<FoundKey | undefined> =>
  knex('keys as k')
    .join('miners as m', 'm.id', 'k.miner_id')
    .where('k.id', id)
    .first<FoundKey | undefined>(
      'm.id as miner',
      'm.role',
      'm.documents_per_minute as documentsPerMinute',
      'm.dumps_at_once as dumpsAtOnce',
      'k.hash',
      knex.raw('k.revoked is not null as "isRevoked"'),
      knex.raw('coalesce(k.expires <= now(), false) as "isExpired"'),
    )
    .then();

function quotaOf({ role, documentsPerMinute, dumpsAtOnce }: FoundKey, usual: Caller['quota']): Caller['quota'] {
  if (role === 'packager') return UNLIMITED;
  return {
    documentsPerMinute: documentsPerMinute ?? usual.documentsPerMinute,
    dumpsAtOnce: dumpsAtOnce ?? usual.dumpsAtOnce,
  };
}

const refused = (slug: ProblemSlug): ProblemError => new ProblemError(slug, undefined, {}, { headers: CHALLENGE });

function sentKey(request: Request): string | undefined {
  const key = request.get('x-api-key') ?? /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '')?.[1];
  return key === '' ? undefined : key;
}
