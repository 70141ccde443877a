/** The database: PostgreSQL, or the same dialect embedded. */
import type { Socket } from 'node:net';
import knex, { type Knex } from 'knex';
import type { Logger } from 'pino';
import { cancel, closePool, trackedSocket, type PooledConnection } from './close-pool.js';
import { openEmbedded, type EmbeddedDatabase } from './embedded.js';
import { migrate } from './migrate.js';
import { prepareMarked } from './prepared.js';

/** A query that takes longer is ended: a few of them would keep everybody else waiting. Milliseconds. */
const STATEMENT_TIMEOUT = 60_000;

export interface Database {
  knex: Knex;
  /** True where this is the embedded engine, which has no autovacuum. */
  embedded: boolean;
  /** Ends every connection, and soon what runs on it; leaves no thread, socket or lock behind. */
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Undefined: embedded in `dataDir`. */
  databaseUrl: string | undefined;
  dataDir: string;
}

/** Opens the database and brings its tables up to date. Several processes may do that at once. */
export async function openDatabase(options: DatabaseOptions, log?: Logger): Promise<Database> {
  const { databaseUrl, dataDir } = options;
  const database = databaseUrl === undefined ? await openOwn(dataDir, log) : connectTo(databaseUrl, log);
  try {
    await checkEncoding(database.knex);
    const applied = await migrate(database.knex);
    if (applied.length > 0) log?.info({ applied }, 'database migrated');
    return database;
  } catch (error) {
    await database.close();
    throw error;
  }
}

async function openOwn(dataDir: string, log: Logger | undefined): Promise<Database> {
  const embedded = await keepOpen(dataDir, log);
  const sockets = new Set<Socket>();
  const db = knex({
    client: 'pg',
    log: knexLog(log),
    connection: async () => {
      const { host, isGone } = await embedded.current();
      const stream = () => trackedSocket(sockets);
      return { host, user: 'postgres', database: 'postgres', stream, expirationChecker: isGone };
    },
    // One session is all that the engine has: a second connection would only wait for the first.
    pool: { min: 0, max: 1 },
    acquireConnectionTimeout: 10_000,
  });
  return {
    knex: db,
    embedded: true,
    close: () => closePool(db, sockets).finally(async () => (await embedded.last()).close()),
  };
}

/** The embedded database, opened anew where the process ends whose guest this one was: one of those that are left becomes its owner. */
async function keepOpen(dataDir: string, log: Logger | undefined) {
  let last = Promise.resolve(await openEmbedded(dataDir));
  const reopen = async (gone: typeof last): Promise<EmbeddedDatabase> => {
    log?.info('the process that had the database open has ended: opening it anew');
    try {
      return await openEmbedded(dataDir);
    } catch (error) {
      last = gone;
      throw error;
    }
  };
  return {
    last: () => last,
    async current(): Promise<EmbeddedDatabase> {
      const known = last;
      // Who asks meanwhile waits for the same one.
      if ((await known).isGone() && last === known) last = reopen(known);
      return last;
    },
  };
}

function connectTo(url: string, log: Logger | undefined): Database {
  const sockets = new Set<Socket>();
  const connections = new Set<PooledConnection>();
  const db = knex({
    client: 'pg',
    log: knexLog(log),
    connection: {
      connectionString: url,
      application_name: 'adit',
      connectionTimeoutMillis: 5_000,
      statement_timeout: STATEMENT_TIMEOUT,
      stream: () => trackedSocket(sockets),
    },
    pool: {
      min: 0,
      max: 10,
      afterCreate(
        connection: PooledConnection & Parameters<typeof prepareMarked>[0],
        done: (error: null, connection: unknown) => void,
      ) {
        connections.add(connection);
        connection.once('end', () => connections.delete(connection));
        prepareMarked(connection);
        done(null, connection);
      },
    },
    acquireConnectionTimeout: 10_000,
  });
  return {
    knex: db,
    embedded: false,
    close: () => closePool(db, sockets, () => Promise.all([...connections].map(cancel))),
  };
}

/** Refs and texts are UTF-8: another encoding would refuse some of them, or worse, cut them apart. */
async function checkEncoding(db: Knex): Promise<void> {
  const { rows } = await db.raw<{ rows: { server_encoding: string }[] }>('show server_encoding');
  const encoding = rows[0]?.server_encoding;
  if (encoding !== 'UTF8') {
    throw new Error(`the database has encoding ${String(encoding)}: make it with "createdb -E UTF8 -T template0"`);
  }
}

/** Left alone, knex writes to the console what it then throws as well. */
function knexLog(log: Logger | undefined): Knex.Logger {
  return {
    error: (message: unknown) => log?.debug({ knex: String(message) }, 'database'),
    warn: (message: unknown) => log?.warn({ knex: String(message) }, 'database'),
    debug: () => undefined,
    deprecate: () => undefined,
  };
}
