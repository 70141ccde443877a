/** Brings a source into a collection: asks what the server has, sends the rest, and withdraws what the source no longer has. */
import { faultOfRef } from '../../api-server/collections/ingest/read-document.js';
import { ask, openUpload, RefusedRequestError, type IngestReport, type Server, type Upload } from './ingest-client.js';
import type { Source, SourceDocument, SourceItem } from './source.js';

export interface Remark {
  kind: 'refused' | 'skipped' | 'partly indexed';
  where: string;
  ref: string | null;
  reason: string;
}

export interface Outcome {
  added: number;
  changed: number;
  unchanged: number;
  refused: number;
  skipped: number;
  partlyIndexed: number;
  /** Documents that the source no longer has; null where none were to be withdrawn. */
  withdrawn: number | null;
  /** Why nothing was withdrawn although it was to be. */
  keptSince?: string;
  /** False where the search engine does not have all of it: searches of the collection are refused. */
  searchable: boolean;
}

export interface IngestWish {
  collection: string;
  /** Leave documents that the source does not have. */
  partial: boolean;
  /** Withdraw even more than half of the collection. */
  most: boolean;
  onRemark: (remark: Remark) => void;
  /** @param documents how many of the source were looked at so far */
  onProgress: (documents: number) => void;
}

/** All documents are in, and those that the source does not have are too many to be withdrawn. */
export class WithdrawalTooLargeError extends Error {
  override readonly name = 'WithdrawalTooLargeError';
}

/** Of one comparison. */
const BATCH = { documents: 500, bytes: 8 * 1024 * 1024 };
/** Of one request: large, since each makes a segment of its own. */
const REQUEST = { documents: 100_000, bytes: 1024 * 1024 * 1024 };

interface Comparison {
  unchanged: number;
  wanted: string[];
  duplicates: string[];
}

/** @throws {Error} it broke off; what came whole is there, and nothing was withdrawn */
export async function ingestSource(server: Server, source: Source, wish: IngestWish): Promise<Outcome> {
  const { collection } = wish;
  const path = `/collections/${encodeURIComponent(collection)}`;
  const isFilled = (await ask<{ documents: number }>(server, 'GET', path)).documents > 0;
  const run = await ask<{ id: string }>(server, 'POST', `${path}/ingests`);
  const outcome: Outcome = {
    added: 0,
    changed: 0,
    unchanged: 0,
    refused: 0,
    skipped: 0,
    partlyIndexed: 0,
    withdrawn: null,
    searchable: true,
  };
  const remark = (told: Remark): void => {
    outcome[told.kind === 'partly indexed' ? 'partlyIndexed' : told.kind] += 1;
    wish.onRemark(told);
  };
  const sender = createSender(server, collection, run.id, outcome, remark);
  const present = new Set<string>();
  let documents = 0;
  let unknown = 0;
  try {
    for await (const batch of batchesOf(source.items())) {
      documents += batch.filter(({ type }) => type === 'document').length;
      unknown += batch.filter((item) => item.type === 'refused' && item.ref === null).length;
      for (const item of batch) {
        if (item.type === 'document') continue;
        remark({ ref: null, ...item, kind: item.type });
        // What was refused is in the source, and stays as it was.
        if (item.type === 'refused' && item.ref !== null && faultOfRef(item.ref) === undefined) present.add(item.ref);
      }
      for (const document of await wanted(batch)) await sender.send(document);
      wish.onProgress(documents);
    }
    await sender.flush();
    // Last, so that what is there twice, and right once, goes in.
    await compare([...present].map((ref) => ({ ref })));
  } catch (error) {
    sender.abandon();
    throw error;
  }
  const keptSince =
    documents === 0
      ? 'the source has no documents'
      : unknown > 0
        ? `${unknown} refused parts of the source may be documents of the collection`
        : undefined;
  const withdraw = !wish.partial && keptSince === undefined;
  const finished = await finish(server, `${path}/ingests/${run.id}/finish`, { withdraw, most: wish.most });
  return {
    ...outcome,
    withdrawn: withdraw ? finished.withdrawn : null,
    searchable: finished.search_index === 'complete',
    ...(!wish.partial && keptSince !== undefined && { keptSince }),
  };

  /** The documents of a batch that have to be sent. The server hears of all the others. */
  async function wanted(batch: SourceItem[]): Promise<SourceDocument[]> {
    const firsts = firstsOf(batch, remark);
    if (!isFilled) return firsts;
    const compared = await compare(firsts.map((document) => ({ ref: document.ref, digest: document.digest() })));
    outcome.unchanged += compared.unchanged;
    const refs = new Set(compared.wanted);
    const twice = new Set(compared.duplicates);
    for (const { ref, where } of firsts) if (twice.has(ref) && !refs.has(ref)) remark(secondOf(ref, where));
    return firsts.filter(({ ref }) => refs.has(ref));
  }

  async function compare(compared: object[]): Promise<Comparison> {
    const all: Comparison = { unchanged: 0, wanted: [], duplicates: [] };
    for (let start = 0; start < compared.length; start += BATCH.documents) {
      const part = { documents: compared.slice(start, start + BATCH.documents) };
      const { unchanged, ...refs } = await ask<Comparison>(server, 'POST', `${path}/ingests/${run.id}/compare`, part);
      all.unchanged += unchanged;
      all.wanted.push(...refs.wanted);
      all.duplicates.push(...refs.duplicates);
    }
    return all;
  }
}

const secondOf = (ref: string, where: string): Remark => ({
  ...{ kind: 'refused', where, ref },
  reason: 'another document of the source has the same ref',
});

function firstsOf(batch: SourceItem[], remark: (told: Remark) => void): SourceDocument[] {
  const firsts = new Map<string, SourceDocument>();
  for (const item of batch) {
    if (item.type !== 'document') continue;
    if (firsts.has(item.ref)) remark(secondOf(item.ref, item.where));
    else firsts.set(item.ref, item);
  }
  return [...firsts.values()];
}

async function* batchesOf(items: AsyncIterable<SourceItem>): AsyncGenerator<SourceItem[]> {
  let batch: SourceItem[] = [];
  let bytes = 0;
  for await (const item of items) {
    batch.push(item);
    bytes += item.type === 'document' ? item.size : 0;
    if (batch.length < BATCH.documents && bytes < BATCH.bytes) continue;
    yield batch;
    batch = [];
    bytes = 0;
  }
  if (batch.length > 0) yield batch;
}

interface OpenUpload {
  upload: Upload;
  /** Where each line came from. */
  places: string[];
  bytes: number;
}

function createSender(
  server: Server,
  collection: string,
  run: string,
  outcome: Outcome,
  remark: (told: Remark) => void,
) {
  let open: OpenUpload | undefined;

  const flush = async (): Promise<void> => {
    if (open === undefined) return;
    const { upload, places } = open;
    const report = await upload.finish();
    open = undefined;
    count(report, places);
  };
  const count = ({ added, changed, unchanged, refused, partly_indexed }: IngestReport, places: string[]): void => {
    outcome.added += added;
    outcome.changed += changed;
    outcome.unchanged += unchanged;
    const tell = (kind: Remark['kind'], told: IngestReport['refused']): void => {
      for (const { line, ref, reason } of told) remark({ kind, where: places[line - 1] ?? '', ref, reason });
    };
    tell('refused', refused);
    tell('partly indexed', partly_indexed);
  };

  return {
    async send(document: SourceDocument): Promise<void> {
      open ??= { upload: openUpload(server, collection, { run }), places: [], bytes: 0 };
      const line = document.line();
      open.places.push(document.where);
      open.bytes += line.length;
      await open.upload.write(line);
      if (open.bytes >= REQUEST.bytes || open.places.length >= REQUEST.documents) await flush();
    },
    flush,
    abandon: () => open?.upload.abandon(),
  };
}

async function finish(
  server: Server,
  path: string,
  wish: { withdraw: boolean; most: boolean },
): Promise<{ withdrawn: number; search_index: 'complete' | 'behind' }> {
  try {
    return await ask(server, 'POST', path, wish);
  } catch (error) {
    if (!(error instanceof RefusedRequestError) || error.problem !== 'withdrawal-too-large') throw error;
    await ask(server, 'POST', path, { withdraw: false });
    const what = error.message.replace(/^.*?: /, '').replace(/: that is more.*/, '.');
    throw new WithdrawalTooLargeError(
      `All documents of the source are in. ${what} Nothing was withdrawn, since that is more than half:` +
        ' give --withdraw-most if they are to be withdrawn, or --partial if not.',
      { cause: error },
    );
  }
}
