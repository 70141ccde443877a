/** The people and programs that use the service, and their keys. */
import type { Knex } from 'knex';
import type { Role } from './caller.js';
import { makeKey } from './keys.js';

/** How much a miner may have; null: what the server allows everybody; Infinity: as much as it likes. */
export interface Quota {
  documentsPerMinute: number | null;
  dumpsAtOnce: number | null;
}

/** A key as it is listed, with whose it is. A miner may have several. */
export interface Key {
  /** The part of the key that may be shown: it names the key to whoever holds it. */
  id: string;
  /** Id of the miner. */
  miner: string;
  name: string;
  email: string | null;
  role: Role;
  quota: Quota;
  created: Date;
  expires: Date | null;
  state: 'valid' | 'expired' | 'revoked';
}

export interface NewMiner {
  name: string;
  email?: string | undefined;
  role?: Role;
  quota?: Partial<Quota>;
  /** Null: never. */
  expires?: Date | null;
}

/** A key that was just made, with the secret that is nowhere else. */
export interface ShownKey {
  key: string;
  keyId: string;
  miner: string;
}

/** Makes a miner with a first key. */
export async function createMiner(
  knex: Knex,
  { name, email, role = 'miner', quota = {}, expires = null }: NewMiner,
): Promise<ShownKey> {
  return knex.transaction(async (trx) => {
    const [miner] = await trx('miners')
      .insert({ name, email: email ?? null, role, ...quotaColumns(quota) })
      .returning<{ id: string }[]>('id');
    if (miner === undefined) throw new Error('the database returned no miner for the one it was given');
    return insertKey(trx, miner.id, expires);
  });
}

/** Makes a further key for a miner. @returns undefined where there is no such miner */
export async function addKey(
  knex: Knex,
  { miner, expires = null }: { miner: string; expires?: Date | null },
): Promise<ShownKey | undefined> {
  const found = await knex('miners').whereRaw('id::text = ?', [miner]).first<{ id: string } | undefined>('id');
  return found && insertKey(knex, found.id, expires);
}

/**
 * Makes a key that takes the place of another, which stays good for a while.
 * @param grace milliseconds that the old key stays good; 0: it ends at once
 * @returns undefined where no valid key has that id
 */
export async function rotateKey(
  knex: Knex,
  { id, grace, expires = null }: { id: string; grace: number; expires?: Date | null },
): Promise<ShownKey | undefined> {
  return knex.transaction(async (trx) => {
    const [old] = await validKey(trx, id)
      .update(
        grace === 0
          ? { revoked: trx.fn.now() }
          : { expires: trx.raw("least(expires, now() + ? * interval '1 millisecond')", [grace]) },
      )
      .returning<{ miner_id: string }[]>('miner_id');
    return old && insertKey(trx, old.miner_id, expires);
  });
}

/** Revokes a key by its id. Its docsets stay. @returns false where no valid key has that id */
export async function revokeKey(knex: Knex, id: string): Promise<boolean> {
  return (await validKey(knex, id).update({ revoked: knex.fn.now() })) === 1;
}

/** Changes what a miner may have, which all of its keys share. @returns false where no key has that id */
export async function changeQuota(knex: Knex, id: string, quota: Partial<Quota>): Promise<boolean> {
  const owner = knex('keys').where({ id }).select('miner_id');
  return (await knex('miners').whereIn('id', owner).update(quotaColumns(quota))) === 1;
}

/** All keys, those that are no longer good too, oldest first. */
export async function listKeys(knex: Knex): Promise<Key[]> {
  const rows = await knex('keys as k')
    .join('miners as m', 'm.id', 'k.miner_id')
    .orderBy([{ column: 'k.created' }, { column: 'k.id' }])
    .select<(Omit<Key, 'quota'> & Quota)[]>(
      'k.id',
      'm.id as miner',
      'm.name',
      'm.email',
      'm.role',
      'm.documents_per_minute as documentsPerMinute',
      'm.dumps_at_once as dumpsAtOnce',
      'k.created',
      'k.expires',
      knex.raw(
        "case when k.revoked is not null then 'revoked' when k.expires <= now() then 'expired' else 'valid' end as state",
      ),
    );
  return rows.map(({ documentsPerMinute, dumpsAtOnce, ...key }) => ({
    ...key,
    quota: { documentsPerMinute, dumpsAtOnce },
  }));
}

async function insertKey(knex: Knex, miner: string, expires: Date | null): Promise<ShownKey> {
  const { key, id, hash } = makeKey();
  await knex('keys').insert({ id, miner_id: miner, hash, expires });
  return { key, keyId: id, miner };
}

const validKey = (knex: Knex, id: string): Knex.QueryBuilder =>
  knex('keys').where({ id, revoked: null }).whereRaw('(expires is null or expires > now())');

function quotaColumns({ documentsPerMinute, dumpsAtOnce }: Partial<Quota>): Record<string, number | null> {
  return {
    ...(documentsPerMinute === undefined ? {} : { documents_per_minute: documentsPerMinute }),
    ...(dumpsAtOnce === undefined ? {} : { dumps_at_once: dumpsAtOnce }),
  };
}

/** What a miner is called. */
export async function nameOf(knex: Knex, miner: string): Promise<string> {
  const found = await knex('miners').where({ id: miner }).first<{ name: string } | undefined>('name');
  if (found === undefined) throw new Error(`there is no miner ${miner}, who has a key`);
  return found.name;
}
