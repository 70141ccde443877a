/** What other features ask of dumps. */
import { ProblemError } from '../http/problems.js';
import type { DumpHooks } from '../parts.js';
import { sinceGone } from '../docsets/since.js';
import { dismissDump, failDump } from './dismiss-dump.js';
import { isLive } from './dump.js';
import type { DumpParts } from './dump-parts.js';
import { dumpPath } from './status-body.js';

export function createDumpHooks(parts: DumpParts): DumpHooks {
  return {
    async isDumpWanted(id, attempt = Infinity) {
      const dump = await parts.store.byId(id);
      return dump !== undefined && isLive(dump) && attempt >= dump.attempt;
    },
    docsetOf: async (dump) => (await parts.store.byId(dump))?.docset,
    async packedDump(docset, id) {
      const dump = await parts.store.byId(id);
      if (dump?.docset !== docset) throw new ProblemError('dump-not-found', `Docset ${docset} has no dump ${id}.`);
      const { outcome } = dump;
      switch (outcome.status) {
        case 'accepted':
        case 'running':
          throw new ProblemError('result-not-ready', undefined, { status_href: dumpPath(dump) });
        case 'failed':
        case 'dismissed':
          throw new ProblemError('dump-not-successful', undefined, { status_href: dumpPath(dump) });
        case 'successful':
        case 'expired': {
          const { formats, container, since, counts } = dump;
          const { finished, archive } = outcome;
          return {
            id,
            formats,
            container,
            since,
            finished,
            counts,
            sha256: archive.kind === 'stored' ? archive.sha256 : null,
          };
        }
      }
    },
    async endDumpsOf(docset) {
      for (const dump of await parts.store.ofDocset(docset)) await dismissDump(parts, dump);
      // What is relative to them can no longer be made.
      for (const dump of await parts.store.liveSince(docset))
        await failDump(parts, dump, 'since-gone', sinceGone(docset));
    },
  };
}
