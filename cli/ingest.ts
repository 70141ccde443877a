/** `adit ingest` */
import { ensureCollection, sendDocuments } from './ingest/ingest-client.js';
import { readSource } from './ingest/read-source.js';

export interface IngestOptions {
  url?: string;
  key?: string;
  name?: string;
  licence?: string;
  source?: string;
}

/** Sends a source to a collection, reports what was refused and why, and fails where anything was. */
export async function runIngest(collection: string, source: string, options: IngestOptions): Promise<void> {
  const key = options.key ?? process.env['ADIT_KEY'];
  const url = options.url ?? process.env['ADIT_URL'] ?? 'http://localhost:3000';
  if (key === undefined) throw new Error('An admin key is needed in ADIT_KEY ("adit keys create --role admin").');
  const server = { url: url.replace(/\/+$/, ''), key };
  const facts = { id: collection, name: options.name ?? collection, licence: options.licence, source: options.source };
  if (await ensureCollection(server, facts)) process.stdout.write(`Made the collection ${collection}.\n`);
  const report = await sendDocuments(server, collection, readSource(source));
  const { added, changed, unchanged, refused } = report;
  process.stdout.write(`${added} added, ${changed} changed, ${unchanged} unchanged, ${refused.length} refused.\n`);
  for (const { line, ref, reason } of refused) process.stderr.write(`line ${line} (${ref ?? 'no ref'}): ${reason}\n`);
  if (refused.length > 0) process.exitCode = 1;
}
