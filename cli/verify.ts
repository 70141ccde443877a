/** `adit verify`: reads back everything that was ingested. */
import { readStorageConfig } from '../api-server/config.js';
import { openContentStore } from '../api-server/documents/content-store/open-content-store.js';
import { verifySegments, type Finding } from '../api-server/documents/verify-segments.js';
import { withDatabase } from './database.js';

/** Exit code 1 where something is not as it was ingested. */
export async function runVerify({ sweep = false }: { sweep?: boolean }): Promise<void> {
  const content = openContentStore(readStorageConfig(process.env));
  try {
    const { segments, files, bytes, corrupt, orphans, unfinished } = await withDatabase(({ knex }) =>
      verifySegments({ knex, content }, { sweep, onFinding: (finding) => say(describe(finding)) }),
    );
    say(`${segments} segments, ${files} files, ${bytes} bytes read: ${corrupt} files corrupt, ${orphans} orphans.`);
    if (unfinished > 0) say(`${unfinished} unfinished writes were cleared away.`);
    if (orphans > 0 && !sweep) say('adit verify --sweep deletes the orphans.');
    if (corrupt > 0) process.exitCode = 1;
  } finally {
    await content.close();
  }
}

function describe(finding: Finding): string {
  switch (finding.type) {
    case 'corrupt': {
      const { document, ref, format, segment, reason } = finding;
      return `corrupt: document ${document} (${ref}), ${format}, in ${segment}: ${reason}`;
    }
    case 'orphan':
      return `${finding.deleted ? 'deleted' : 'orphan'}: ${finding.key}`;
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
