/** `/docsets/{id}/dump`: with formats in the query the dump that they name, without them the choice of what to ask for. */
import { place } from '../foundation/place.js';
import { AskDumpView } from './ask-dump.js';
import { pageOf, readAddress } from './dump-address.js';
import { WatchDump } from './watch-dump.js';

export function DumpView({ docset }: { docset: string }) {
  const address = readAddress(docset, place().query);
  return address === undefined ? <AskDumpView id={docset} /> : <WatchDump key={pageOf(address)} address={address} />;
}
