/** Sends documents to an api-server: the one door by which every collection comes in. */
import { Readable } from 'node:stream';

export interface CollectionFacts {
  id: string;
  name: string;
  description?: string | undefined;
  source?: string | undefined;
  licence?: string | undefined;
  /** JSON Schema of the metadata. */
  schema?: object | undefined;
}

/** One line of the ingest door. */
export interface IngestLine {
  ref: string;
  metadata: Record<string, unknown>;
  files: Record<string, { text: string } | { base64: string; media_type?: string }>;
}

export interface IngestReport {
  added: number;
  changed: number;
  unchanged: number;
  refused: { line: number; ref: string | null; reason: string }[];
}

export interface Server {
  url: string;
  /** An admin key. */
  key: string;
}

/** Makes the collection, unless it is there. @returns true where it was made */
export async function ensureCollection({ url, key }: Server, collection: CollectionFacts): Promise<boolean> {
  const response = await fetch(`${url}/api/collections`, {
    method: 'POST',
    headers: { 'X-API-Key': key, 'Content-Type': 'application/json' },
    body: JSON.stringify(collection),
  });
  if (response.status === 409) return false;
  if (response.status !== 201) throw await refusal(response);
  return true;
}

/** Streams documents into a collection. Lines that are refused are in the report; the rest is in. */
export async function sendDocuments(
  { url, key }: Server,
  collection: string,
  lines: AsyncIterable<IngestLine | string>,
): Promise<IngestReport> {
  const response = await fetch(`${url}/api/collections/${encodeURIComponent(collection)}/documents`, {
    method: 'POST',
    headers: { 'X-API-Key': key, 'Content-Type': 'application/x-ndjson' },
    body: Readable.toWeb(Readable.from(asText(lines))) as ReadableStream,
    duplex: 'half',
  });
  if (!response.ok) throw await refusal(response);
  return (await response.json()) as IngestReport;
}

async function* asText(lines: AsyncIterable<IngestLine | string>): AsyncGenerator<Buffer> {
  for await (const line of lines) yield Buffer.from(`${typeof line === 'string' ? line : JSON.stringify(line)}\n`);
}

/** What the server said, in one sentence. */
async function refusal(response: Response): Promise<Error> {
  const text = await response.text();
  let detail = text.slice(0, 200);
  try {
    const problem = JSON.parse(text) as { title?: string; detail?: string };
    detail = problem.detail ?? problem.title ?? detail;
  } catch {
    // Not a problem document: its first words will have to do.
  }
  return new Error(`The server answered ${response.status}: ${detail}`);
}
