/** Runs a suite on the embedded database, and on PostgreSQL where it is installed. */
import { afterAll, beforeAll, describe } from '@jest/globals';
import { describeOn, startPostgreSQL, type PostgreSQL } from '../servers/index.js';
import { startFreshApiServer, type FreshApiServer } from './fresh-api-server.js';

/** @param body gets what starts an api-server on an empty database of its own */
export function onEachDatabase(body: (start: (env?: Record<string, string>) => Promise<FreshApiServer>) => void): void {
  describe('on the embedded database', () => {
    body((env) => startFreshApiServer(undefined, env));
  });

  describeOn('postgresql', 'on PostgreSQL', () => {
    let postgresql: PostgreSQL;
    beforeAll(async () => {
      // The disk is waited for where servers are killed: here none is.
      postgresql = await startPostgreSQL({ settings: { fsync: 'off' } });
    });
    afterAll(() => postgresql.close());
    body(async (env) => startFreshApiServer(await postgresql.createDatabase(), env));
  });
}
