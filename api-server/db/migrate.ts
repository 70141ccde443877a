/** Brings the tables up to date, the same way on PostgreSQL and on the embedded engine. */
import type { Knex } from 'knex';
import { dumps, dumpsFollow } from '../dumps/migration.js';
import { initial } from './migrations/0001-initial.js';
import { segments } from './migrations/0003-segments.js';
import { search } from './migrations/0005-search.js';
import { ingest } from './migrations/0006-ingest.js';
import { docsets } from './migrations/0007-docsets.js';
import { keys } from './migrations/0008-keys.js';
import { nestedFields } from './migrations/0010-nested-fields.js';
import { roguePackagers } from './migrations/0011-rogue-packagers.js';
import { dumpsOver } from './migrations/0012-dumps-over.js';

export interface NamedMigration {
  name: string;
  migration: Knex.Migration;
}

/** In the order in which they run. A released one is never changed. Features append theirs. */
const MIGRATIONS: readonly NamedMigration[] = [
  { name: '0001-initial', migration: initial },
  { name: '0002-dumps', migration: dumps },
  { name: '0003-segments', migration: segments },
  { name: '0004-dumps-follow', migration: dumpsFollow },
  { name: '0005-search', migration: search },
  { name: '0006-ingest', migration: ingest },
  { name: '0007-docsets', migration: docsets },
  { name: '0008-keys', migration: keys },
  { name: '0010-nested-fields', migration: nestedFields },
  { name: '0011-rogue-packagers', migration: roguePackagers },
  { name: '0012-dumps-over', migration: dumpsOver },
];

/** Any number will do, as long as every api-server uses the same. */
const MIGRATION_LOCK = 2_017_061;

const migrationSource: Knex.MigrationSource<NamedMigration> = {
  getMigrations: () => Promise.resolve([...MIGRATIONS]),
  getMigrationName: ({ name }) => name,
  getMigration: ({ migration }) => Promise.resolve(migration),
};

/**
 * Runs the missing migrations in one transaction, one process at a time: who dies in the middle leaves nothing half done and
 * no lock behind.
 * @returns the names of those that ran
 */
export async function migrate(db: Knex): Promise<string[]> {
  return db.transaction(async (trx) => {
    await trx.raw('select pg_advisory_xact_lock(?)', [MIGRATION_LOCK]);
    const [, applied] = (await trx.migrate.latest({ migrationSource, disableTransactions: true })) as [
      number,
      string[],
    ];
    return applied;
  });
}
