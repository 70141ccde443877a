/** Databases of versions that kept the bytes of documents in them. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import knex, { type Knex } from 'knex';
import { initial } from '../../api-server/db/migrations/0001-initial.js';
import { segments } from '../../api-server/db/migrations/0003-segments.js';
import { describeOn, startPostgreSQL, type PostgreSQL } from '../servers/index.js';

async function migrateSegments(trx: Knex): Promise<void> {
  await segments.up(trx);
}

describeOn('postgresql', 'a database that was filled before there were segments', () => {
  let postgresql: PostgreSQL;
  beforeAll(async () => {
    postgresql = await startPostgreSQL();
  });
  afterAll(() => postgresql.close());

  test('is refused with what to do, and left as it was', async () => {
    const databaseUrl = await postgresql.createDatabase();
    const old = knex({ client: 'pg', connection: databaseUrl });
    try {
      await initial.up(old);
      await old.raw(`insert into collections (id, name, language, schema) values ('c', 'c', 'english', '{}')`);
      await old.raw(`insert into documents (collection_id, ref, revision, current, digest, metadata, tsv)
        values ('c', 'a', 1, true, '', '{}', '')`);
      await old.raw(`insert into files values (1, 'txt', 'text/plain', 1, 'x', 'x')`);
      await expect(old.transaction(migrateSegments)).rejects.toThrow(/ingest the documents again/);
      expect(await old('files').pluck<string[]>('bytes')).toHaveLength(1);
      await old('files').delete();
      await old.transaction(migrateSegments);
      expect(await old.schema.hasColumn('files', 'bytes')).toBe(false);
    } finally {
      await old.destroy();
    }
  });
});
