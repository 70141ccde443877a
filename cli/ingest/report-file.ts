/** What was not taken as it is, as CSV. */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { finished } from 'node:stream/promises';
import { stringify } from 'csv-stringify';
import type { Remark } from './ingest-source.js';

export interface ReportFile {
  add(remark: Remark): void;
  close(): Promise<void>;
}

/** @throws {Error} the file cannot be written */
export async function openReportFile(path: string): Promise<ReportFile> {
  const output = createWriteStream(path);
  await once(output, 'open');
  const rows = stringify({ header: true, columns: ['kind', 'where', 'ref', 'reason'], escape_formulas: true });
  rows.pipe(output);
  return {
    add: (remark) => void rows.write(remark),
    async close() {
      rows.end();
      await finished(output);
    },
  };
}
