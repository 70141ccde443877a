/** Statements that PostgreSQL prepares. */
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createDumpStore } from '../../api-server/dumps/dump-store.js';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { prepared } from '../../api-server/db/prepared.js';
import { describeOn, startPostgreSQL, type PostgreSQL } from '../servers/index.js';

describeOn('postgresql', 'a statement that is marked', () => {
  let postgresql: PostgreSQL;
  let database: Database;
  beforeAll(async () => {
    postgresql = await startPostgreSQL();
    database = await openDatabase({ databaseUrl: await postgresql.createDatabase(), dataDir: '' });
  });
  afterAll(async () => {
    await database.close();
    await postgresql.close();
  });

  it('is prepared once for its connection, and others are not', async () => {
    const { knex } = database;
    const client = knex.client as {
      acquireConnection(): Promise<object>;
      releaseConnection(held: object): Promise<void>;
    };
    const connection = await client.acquireConnection();
    for (const id of ['1', '2', '3']) {
      await prepared(knex('docsets').select('id').where({ id })).connection(connection);
      await knex('docsets').select('name').where({ id }).connection(connection);
    }
    const { rows } = await knex
      .raw<{ rows: object[] }>(
        'select statement, (generic_plans + custom_plans)::int as runs from pg_prepared_statements',
      )
      .connection(connection);
    await client.releaseConnection(connection);
    expect(rows).toEqual([{ statement: 'select "id" from "docsets" where "id" = $1', runs: 3 }]);
  });

  it('goes on when a migration adds a column', async () => {
    const store = createDumpStore(database.knex);
    const ask = async (): Promise<void> => {
      expect(await store.byId('none')).toBeUndefined();
      expect(await prepared(store.lookUp('none', {}))).toEqual([]);
    };
    for (let round = 0; round < 3; round++) await ask();
    await database.knex.raw('alter table dumps add column news text, add column more text');
    await database.knex.raw('alter table docsets add column news text');
    await ask();
  });
});
