/** Ingests the sample, through the same door as anyone's collection. */
import { ensureCollection, sendDocuments, type IngestReport, type Server } from '../ingest/ingest-client.js';
import { SOTU, sotuDocuments } from './sotu.js';

/** @throws {Error} where the server refused any of it, or `signal` broke it off */
export async function ingestSample(server: Server, signal?: AbortSignal): Promise<IngestReport> {
  await ensureCollection(server, SOTU);
  const report = await sendDocuments(server, SOTU.id, sotuDocuments(), signal);
  const [first] = report.refused;
  if (first !== undefined) throw new Error(`The sample was refused: line ${first.line}: ${first.reason}`);
  return report;
}
