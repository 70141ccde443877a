/** The people and programs that hold keys. */
import type { Knex } from 'knex';
import type { Role } from './caller.js';
import { makeKey } from './keys.js';

export interface Miner {
  id: string;
  name: string;
  email: string | null;
  role: Role;
  /** The part of the key that may be shown: it names the key to whoever holds it. */
  keyId: string;
  created: Date;
  revoked: Date | null;
}

const COLUMNS = ['id', 'name', 'email', 'role', 'key_id as keyId', 'created', 'revoked'];

/** Makes a miner. The key is in the answer and nowhere else. */
export async function createMiner(
  knex: Knex,
  { name, email, role = 'miner' }: { name: string; email?: string | undefined; role?: Role },
): Promise<Miner & { key: string }> {
  const { key, id, hash } = makeKey();
  const [miner] = await knex('miners')
    .insert({ name, email: email ?? null, role, key_id: id, key_hash: hash })
    .returning<Miner[]>(COLUMNS);
  if (miner === undefined) throw new Error('the database returned no miner for the one it was given');
  return { ...miner, key };
}

/** All miners, the revoked ones too, oldest first. */
export const listMiners = (knex: Knex): Promise<Miner[]> =>
  knex('miners').orderBy('id').select<Miner[]>(COLUMNS).then();

/** Revokes a key by its id. Its docsets stay. @returns false where no valid key has that id */
export async function revokeMiner(knex: Knex, id: string): Promise<boolean> {
  const count = await knex('miners').where({ key_id: id, revoked: null }).update({ revoked: knex.fn.now() });
  return count === 1;
}
