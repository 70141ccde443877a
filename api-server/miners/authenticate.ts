/** Finds out who is asking, by the key in `X-API-Key` or `Authorization: Bearer`. */
import type { Request } from 'express';
import type { Parts } from '../parts.js';
import { ProblemError } from '../http/problems.js';
import type { Caller, Role } from './caller.js';
import { digestOf, isSameDigest, keyId } from './keys.js';

// RFC 9110, 11.6.1: a 401 names the schemes that would do.
const CHALLENGE = { 'WWW-Authenticate': 'Bearer realm="adit"' };

/** @returns a function that resolves to the caller, or throws `key-missing` or `key-invalid` */
export function authentication({ config, knex }: Pick<Parts, 'config' | 'knex'>) {
  const packagerDigest = digestOf(config.packagerKey);

  return async (request: Request): Promise<Caller> => {
    const key = sentKey(request);
    if (key === undefined) throw new ProblemError('key-missing', undefined, {}, { headers: CHALLENGE });
    const digest = digestOf(key);
    if (isSameDigest(digest, packagerDigest)) return { id: 'packager', role: 'packager' };
    const id = keyId(key);
    const miner =
      id === undefined
        ? undefined
        : await knex('miners')
            .where({ key_id: id, revoked: null })
            .first<{ id: string; role: Role; key_hash: Buffer } | undefined>('id', 'role', 'key_hash');
    if (miner === undefined || !isSameDigest(digest, miner.key_hash)) {
      throw new ProblemError('key-invalid', undefined, {}, { headers: CHALLENGE });
    }
    return { id: miner.id, role: miner.role };
  };
}

function sentKey(request: Request): string | undefined {
  const key = request.get('x-api-key') ?? /^Bearer +(\S+) *$/i.exec(request.get('authorization') ?? '')?.[1];
  return key === '' ? undefined : key;
}
