import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { describeError } from '../../api-server/http/errors.js';
import { describeOn, startPostgreSQL, type PostgreSQL } from '../servers/index.js';

describeOn('postgresql', 'a statement on PostgreSQL', () => {
  let postgresql: PostgreSQL;
  let database: Database;
  beforeAll(async () => {
    postgresql = await startPostgreSQL();
    database = await openDatabase({ databaseUrl: await postgresql.createDatabase(), dataDir: '/nowhere' });
  });
  afterAll(async () => {
    await database.close();
    await postgresql.close();
  });

  test('has a minute', async () => {
    const { rows } = await database.knex.raw<{ rows: { statement_timeout: string }[] }>('show statement_timeout');
    expect(rows).toEqual([{ statement_timeout: '1min' }]);
  });

  test('whose time is over is answered as such, and not as a fault', async () => {
    const slow = database.knex.transaction(async (trx) => {
      await trx.raw("set local statement_timeout to '50ms'");
      await trx.raw('select pg_sleep(10)');
    });
    const error: unknown = await slow.catch((reason: unknown) => reason);
    expect(describeError(error).slug).toBe('query-too-slow');
  });
});
