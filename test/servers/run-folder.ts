/** Data folders of test servers. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const NAME = /^adit-[a-z0-9]+-(\d+)-/;

/**
 * A new empty folder under the system's temporary folder, named after this process; `remove` deletes it. Folders whose
 * process is gone (a test run that was killed) are deleted on the way. What servers have left to end may still be writing: it is tried again for half a minute.
 */
export function makeRunFolder(server: string): { path: string; remove(): void } {
  removeOrphans();
  const path = mkdtempSync(join(tmpdir(), `adit-${server}-${process.pid}-`));
  return { path, remove: () => rmSync(path, { recursive: true, force: true, maxRetries: 15, retryDelay: 250 }) };
}

function removeOrphans(): void {
  for (const entry of readdirSync(tmpdir())) {
    const pid = NAME.exec(entry)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    // Another run may be deleting the same one: what is gone is what was wanted.
    rmSync(join(tmpdir(), entry), { recursive: true, force: true });
  }
}
