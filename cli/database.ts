/** The database for operators' commands: the one that DATABASE_URL names, or the embedded one in DATA_DIR, running or not. */
import { openDatabase, type Database } from '../api-server/db/open-database.js';

export async function withDatabase<T>(work: (database: Database) => Promise<T>): Promise<T> {
  const database = await openDatabase({
    databaseUrl: process.env['DATABASE_URL'] || undefined,
    dataDir: process.env['DATA_DIR'] || './data',
  });
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}
