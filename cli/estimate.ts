/** `adit docset estimate` */
import prettyBytes from 'pretty-bytes';
import { clientOf, print, printJson, printTable, type MinerOptions } from './miner-settings.js';
import type { Container, DumpEstimate } from './miner/miner-client.js';

export interface EstimateOptions extends MinerOptions {
  fmt: string;
  archive: Container;
  since?: string;
}

/** What a dump of a docset would be; none is asked for. */
export async function estimateDump(docset: string, options: EstimateOptions): Promise<void> {
  const { fmt, archive, since, json } = options;
  const formats = fmt.split(',').map((format) => format.trim());
  const estimate = await clientOf(options).estimateDump(docset, { formats, archive, since });
  if (json === true) printJson(estimate);
  else tell(estimate);
}

function tell({ documents, bytes, by_format, container, seconds }: DumpEstimate): void {
  print(
    `${documents} documents, ${prettyBytes(bytes.content)} unpacked; about ${prettyBytes(bytes.archive)} as ${container}.`,
  );
  print(
    seconds === null
      ? 'How long it takes is not known: none was made in the last month.'
      : `About ${seconds} s to make, from when a packager takes it.`,
  );
  print('');
  const rows = by_format.map(({ format, files, missing, bytes }) => [
    format,
    files,
    missing,
    prettyBytes(bytes.content),
    prettyBytes(bytes.stored),
  ]);
  printTable(['format', 'files', 'missing', 'unpacked', 'deflated'], rows);
}
