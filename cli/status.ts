/** `adit status` */
import prettyBytes from 'pretty-bytes';
import { clientOf, print, printJson, printTable, type Cell, type MinerOptions } from './miner-settings.js';
import type { DumpStatus, MinerClient } from './miner/miner-client.js';

/** All dumps, or the newest one of a docset, as they are now. */
export async function runStatus(docset: string | undefined, options: MinerOptions): Promise<void> {
  const client = clientOf(options);
  const dumps = docset === undefined ? await asOfNow(client) : [await client.newestDump(docset)];
  if (options.json === true) for (const dump of dumps) printJson(dump);
  else if (dumps.length === 0) print('No dumps yet: "adit dump <docset>" asks for one.');
  else printTable(['dump', 'docset', 'formats', 'status', '', 'size', 'expires'], dumps.map(rowOf));
}

/** The list tells of those at work what was last known: nobody has looked since. */
async function asOfNow(client: MinerClient): Promise<DumpStatus[]> {
  const now: DumpStatus[] = [];
  for (const dump of await client.dumps()) now.push(dump.stale ? await look(client, dump) : dump);
  return now;
}

/** @returns as last known where a newer dump has taken its URL */
async function look(client: MinerClient, known: DumpStatus): Promise<DumpStatus> {
  const self = known.links.find(({ rel }) => rel === 'self');
  if (self === undefined) return known;
  const { status } = await client.pollDump(self.href);
  return status.id === known.id ? status : known;
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
