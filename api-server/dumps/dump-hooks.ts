/** What other features ask of dumps. */
import type { DumpHooks } from '../parts.js';
import { dismissDump } from './dismiss-dump.js';
import { isLive } from './dump.js';
import type { DumpParts } from './dump-parts.js';

export function createDumpHooks(parts: DumpParts): DumpHooks {
  return {
    async isDumpWanted(id) {
      const dump = await parts.store.byId(id);
      return dump !== undefined && isLive(dump);
    },
    async endDumpsOf(docset) {
      for (const dump of await parts.store.ofDocset(docset)) await dismissDump(parts, dump);
    },
  };
}
