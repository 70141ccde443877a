/** Sends documents to an api-server: the one door by which every collection comes in. */
import { once } from 'node:events';
import { request as requestHttp, type ClientRequest, type IncomingMessage } from 'node:http';
import { request as requestHttps } from 'node:https';
import { text as readText } from 'node:stream/consumers';

export interface CollectionFacts {
  id: string;
  name: string;
  description?: string | undefined;
  source?: string | undefined;
  licence?: string | undefined;
  language?: string | undefined;
  /** JSON Schema of the metadata. */
  schema?: object | undefined;
}

/** One line of the ingest door. */
export interface IngestLine {
  ref: string;
  metadata: Record<string, unknown>;
  files: Record<string, { text: string } | { base64: string; media_type?: string }>;
}

export interface Remark {
  line: number;
  ref: string | null;
  reason: string;
}

export interface IngestReport {
  added: number;
  changed: number;
  unchanged: number;
  refused: Remark[];
  partly_indexed: Remark[];
  /** `behind`: the search engine does not have all of it, and searches of the collection are refused. */
  search_index: 'complete' | 'behind';
}

export interface Server {
  url: string;
  /** An admin key. */
  key: string;
}

/** The server refused a request. */
export class RefusedRequestError extends Error {
  override readonly name = 'RefusedRequestError';
  constructor(
    message: string,
    readonly status: number,
    /** Such as `collection-not-found`. */
    readonly problem: string,
  ) {
    super(message);
  }
}

/** Asks the server for JSON. @throws {RefusedRequestError} */
export async function ask<T>({ url, key }: Server, method: string, path: string, body?: object): Promise<T> {
  const headers = { 'X-API-Key': key, ...(body !== undefined && { 'Content-Type': 'application/json' }) };
  const response = await reach(url, () =>
    fetch(`${url}/api${path}`, { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }),
  );
  const text = await response.text();
  if (!response.ok) throw refusal(response.status, text);
  return JSON.parse(text) as T;
}

/** Makes the collection, unless it is there. @returns true where it was made */
export async function ensureCollection(server: Server, collection: CollectionFacts): Promise<boolean> {
  try {
    await ask(server, 'POST', '/collections', collection);
    return true;
  } catch (error) {
    if (error instanceof RefusedRequestError && error.problem === 'collection-exists') return false;
    throw error;
  }
}

/**
 * Streams documents into a collection. Lines that are refused are in the report; the rest is in.
 * @param signal breaks it off; the server keeps what came whole
 */
export async function sendDocuments(
  server: Server,
  collection: string,
  lines: AsyncIterable<IngestLine>,
  signal?: AbortSignal,
): Promise<IngestReport> {
  const upload = openUpload(server, collection, { signal });
  for await (const line of lines) await upload.write(Buffer.from(`${JSON.stringify(line)}\n`));
  return upload.finish();
}

export interface UploadOptions {
  /** The ingest run that the lines belong to. */
  run?: string | undefined;
  /** Breaks it off, as `abandon` does. */
  signal?: AbortSignal | undefined;
}

export interface Upload {
  /** Resolves when there is room for more. @throws what ended the request, as `finish` does */
  write(line: Buffer): Promise<void>;
  /** Resolves when all of it is in. @throws {RefusedRequestError} */
  finish(): Promise<IngestReport>;
  /** Breaks it off; the server keeps what came whole. */
  abandon(): void;
}

/** Opens a stream of lines. It is no `fetch`: that gives up where the server writes for five minutes and says nothing. */
export function openUpload({ url, key }: Server, collection: string, { run, signal }: UploadOptions = {}): Upload {
  const query = run === undefined ? '' : `?ingest=${run}`;
  const target = new URL(`${url}/api/collections/${encodeURIComponent(collection)}/documents${query}`);
  const request = (target.protocol === 'https:' ? requestHttps : requestHttp)(target, {
    method: 'POST',
    headers: { 'X-API-Key': key, 'Content-Type': 'application/x-ndjson' },
    signal,
  });
  // Told once, by whoever waits for the answer.
  request.on('error', () => undefined);
  const answer = reach(url, () => answerTo(request));
  let isOver = false;
  let goOn = (): void => undefined;
  request.on('drain', () => goOn());
  const end = (): void => {
    isOver = true;
    goOn();
  };
  answer.then(end, end);
  const refuseEarly = async (): Promise<never> => {
    await answer;
    throw new Error('The server answered before all documents were sent.');
  };
  return {
    async write(line) {
      if (isOver) await refuseEarly();
      if (request.write(line)) return;
      await new Promise<void>((resolve) => (goOn = resolve));
      if (isOver) await refuseEarly();
    },
    finish() {
      request.end();
      return answer;
    },
    abandon: () => request.destroy(),
  };
}

async function answerTo(request: ClientRequest): Promise<IngestReport> {
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const body = await readText(response);
  if (response.statusCode !== 200) throw refusal(response.statusCode ?? 0, body);
  return JSON.parse(body) as IngestReport;
}

async function reach<T>(url: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RefusedRequestError) throw error;
    throw new Error(`The connection to ${url} broke off, or there was none.`, { cause: error });
  }
}

/** What the server said, in one sentence. */
function refusal(status: number, text: string): RefusedRequestError {
  let detail = text.slice(0, 200);
  let problem = '';
  try {
    const told = JSON.parse(text) as { type?: string; title?: string; detail?: string };
    detail = told.detail ?? told.title ?? detail;
    problem = told.type?.replace('/problems/', '') ?? '';
  } catch {
    // Not a problem document: its first words will have to do.
  }
  const advice = problem === 'role-not-allowed' ? ' "adit keys create --role admin --name …" makes one that may.' : '';
  return new RefusedRequestError(`The server answered ${status}: ${detail}${advice}`, status, problem);
}
