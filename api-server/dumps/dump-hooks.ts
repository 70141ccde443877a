/** What other features ask of dumps. */
import type { DumpHooks } from '../parts.js';
import { sinceGone } from '../docsets/since.js';
import { dismissDump, failDump } from './dismiss-dump.js';
import { isLive } from './dump.js';
import type { DumpParts } from './dump-parts.js';

export function createDumpHooks(parts: DumpParts): DumpHooks {
  return {
    async isDumpWanted(id) {
      const dump = await parts.store.byId(id);
      return dump !== undefined && isLive(dump);
    },
    docsetOf: async (dump) => (await parts.store.byId(dump))?.docset,
    async endDumpsOf(docset) {
      for (const dump of await parts.store.ofDocset(docset)) await dismissDump(parts, dump);
      // What is relative to them can no longer be made.
      for (const dump of await parts.store.liveSince(docset))
        await failDump(parts, dump, 'since-gone', sinceGone(docset));
    },
  };
}
