/** A data folder with an embedded database that is up to date: making one takes 4 s, copying it 0.1 s. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { openDatabase } from '../../api-server/db/open-database.js';
import { cacheFolder } from '../servers/cache-folder.js';

const API_SERVER = new URL('../../api-server', import.meta.url).pathname;

/** Fills `dataDir`, from the cache where that has a folder made by the same code. */
export async function copyMigratedFolder(dataDir: string): Promise<void> {
  const cached = join(cacheFolder(), `embedded-database-${fingerprint()}`);
  if (!existsSync(cached)) await make(cached);
  await cp(cached, dataDir, { recursive: true });
}

async function make(cached: string): Promise<void> {
  await mkdir(cacheFolder(), { recursive: true });
  const draft = await mkdtemp(`${cached}.`);
  const database = await openDatabase({ databaseUrl: undefined, dataDir: draft });
  await database.close();
  try {
    await rename(draft, cached);
  } catch (error) {
    // Another test was faster.
    if (!existsSync(cached)) throw error;
    await rm(draft, { recursive: true });
  }
}

/** Of everything that decides what the folder looks like. */
function fingerprint(): string {
  const hash = createHash('sha256');
  for (const folder of ['db', 'dumps']) {
    for (const file of readdirSync(join(API_SERVER, folder), { recursive: true, encoding: 'utf8' }).sort()) {
      if (folder === 'db' ? /\.m?[tj]s$/.test(file) : file === 'migration.ts') {
        hash.update(file).update(readFileSync(join(API_SERVER, folder, file)));
      }
    }
  }
  const require = createRequire(import.meta.url);
  hash.update(readFileSync(join(require.resolve('@electric-sql/pglite'), '../../package.json')));
  return hash.digest('hex').slice(0, 16);
}
