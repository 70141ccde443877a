/** `adit migrate` */
import { withDatabase } from './database.js';

export async function runMigrate(): Promise<void> {
  // Opening a database brings it up to date.
  await withDatabase(() => Promise.resolve());
  process.stdout.write('The database is up to date.\n');
}
