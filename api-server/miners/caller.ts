/** Who is asking. */
export const ROLES = ['miner', 'packager', 'admin'] as const;

/** A miner uses collections and docsets, a packager reads what it packs, an admin also fills collections. */
export type Role = (typeof ROLES)[number];

export interface Caller {
  /** Id of the miner, or `packager` for the holder of PACKAGER_KEY. */
  id: string;
  role: Role;
  /** Id of the key, or `packager`. */
  key: string;
  /** What the miner may have, over all of its keys; Infinity: as much as it likes. */
  quota: { documentsPerMinute: number; dumpsAtOnce: number };
}

/** Everybody with a key. */
export const ANY_ROLE: readonly Role[] = ROLES;

/** Those who search and own docsets. */
export const MINERS: readonly Role[] = ['miner', 'admin'];
