/** Where `install.sh` puts what no Debian package brings. */
import { homedir } from 'node:os';
import { join } from 'node:path';

/** `ADIT_SERVERS`, or `adit-servers` in the user's cache folder. `install.sh` says the same. */
export function cacheFolder(): string {
  const caches = process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache');
  return process.env['ADIT_SERVERS'] ?? join(caches, 'adit-servers');
}
