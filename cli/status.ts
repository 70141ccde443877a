/** `adit status` */
import prettyBytes from 'pretty-bytes';
import { clientOf, print, printJson, printTable, type Cell, type MinerOptions } from './miner-settings.js';
import type { DumpStatus } from './miner/miner-client.js';

/** All dumps as last known, or the newest one of a docset as it is now. */
export async function runStatus(docset: string | undefined, options: MinerOptions): Promise<void> {
  const client = clientOf(options);
  const dumps = docset === undefined ? await client.dumps() : [await client.newestDump(docset)];
  if (options.json === true) for (const dump of dumps) printJson(dump);
  else if (dumps.length === 0) print('No dumps yet: "adit dump <docset>" asks for one.');
  else printTable(['dump', 'docset', 'formats', 'status', '', 'size', 'expires'], dumps.map(rowOf));
}

function rowOf({ id, docset, formats, status, done, progress, archive, expires, message }: DumpStatus): Cell[] {
  const size = archive?.size ?? null;
  return [
    id,
    docset.slice(docset.lastIndexOf('/') + 1),
    formats.join(','),
    status,
    done ? message : `${progress}%`,
    size === null ? null : prettyBytes(size),
    expires?.slice(0, 10),
  ];
}
