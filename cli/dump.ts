/** `adit dump`: a docset, or a query, as a verified archive on the disk. */
import prettyBytes from 'pretty-bytes';
import ms, { type StringValue } from 'ms';
import { progressOf, type ProgressKind } from './dump-progress.js';
import { InterruptedError } from './explain.js';
import { clientOf, print, printJson, readQuery, type MinerOptions } from './miner-settings.js';
import { DumpError, RefusedError, UnreachableError } from './miner/errors.js';
import type { Container } from './miner/miner-client.js';
import { saveDump, type ArchiveWish, type SavedDump } from './miner/save-dump.js';

export interface DumpOptions extends MinerOptions {
  output?: string;
  fmt: string;
  archive: Container;
  since?: string;
  collection?: string;
  query?: string;
  name?: string;
  overwrite?: boolean;
  retryFor: string;
  progress: ProgressKind;
}

/** Exit code 1 where there is no verified archive in the end, 130 after Ctrl-C. */
export async function runDump(docset: string | undefined, options: DumpOptions): Promise<void> {
  const wish = readWish(docset, options);
  const file = options.output ?? fileNameOf(wish);
  const interruption = new AbortController();
  const interrupt = (): void => interruption.abort(new InterruptedError(INTERRUPTED));
  process.once('SIGINT', interrupt).once('SIGTERM', interrupt);
  const progress = progressOf(options.progress);
  try {
    const retryFor = readDuration(options.retryFor);
    const client = clientOf(options, { retryFor, signal: interruption.signal, onWait: progress.onWait });
    const saved = await saveDump(client, wish, file, { ...progress, overwrite: options.overwrite }).finally(() =>
      progress.stop(),
    );
    if (options.json === true) printJson(resultOf(saved));
    else tell(saved);
  } catch (error) {
    // However it shows: a wait, a request or a write that was broken off.
    const fault: unknown = interruption.signal.aborted ? interruption.signal.reason : error;
    if (options.json === true) printJson({ error: faultOf(fault) });
    throw fault;
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
  }
}

const INTERRUPTED = 'Interrupted. The dump goes on without us: the same command comes back to it.';

function readWish(
  docset: string | undefined,
  { collection, query, name, fmt, archive, since }: DumpOptions,
): ArchiveWish {
  const wish = { formats: fmt.split(',').map((format) => format.trim()), archive, since };
  if (query === undefined) {
    if (docset === undefined) throw new Error('Which docset? Give its id, or a --query to make one of.');
    return { docset, ...wish };
  }
  if (docset !== undefined) throw new Error('A docset or a --query: not both.');
  const collectionWish = collection === undefined ? {} : { collection };
  return { docset: { ...collectionWish, ...(name === undefined ? {} : { name }), query: readQuery(query) }, ...wish };
}

/** As the server would call it. @throws {Error} there is no docset yet to call it after */
function fileNameOf({ docset, formats = [], archive = 'zip', since }: ArchiveWish): string {
  const suffix = since === undefined ? '' : `-since-${since.slice(0, 8)}`;
  if (typeof docset === 'string') return `docset-${docset}-${[...formats].sort().join('-')}${suffix}.${archive}`;
  throw new Error('A --query needs -o <file>: by the file, a run that was interrupted is found again.');
}

function readDuration(text: string): number {
  const millis = /^\d/.test(text) ? (ms(text as StringValue) as number | undefined) : undefined;
  if (millis === undefined) throw new Error(`--retry-for is a duration such as 30s, 10m or 2h, not ${text}.`);
  return millis;
}

function tell({ file, size, sha256, bag, status, docset, downloaded }: SavedDump): void {
  print(`${file} ${downloaded ? 'has' : 'was there already, and has'} docset ${docset}. ${status.message}`);
  print(`${prettyBytes(size)}, SHA-256 ${sha256}`);
  if (bag === null) print('Its packager gave no checksum: only the length was verified.');
  else print(`Verified: ${bag.verified} checksums, ${prettyBytes(bag.bytes)} unpacked.`);
}

/** For programs. */
function resultOf({ file, docset, size, sha256, bag, status, downloaded }: SavedDump): object {
  const { id, formats, container, since, counts } = status;
  const verified = bag === null ? null : { checksums: bag.verified, bytes: bag.bytes, payload: bag.payload };
  return { file, docset, dump: id, formats, archive: container, since, size, sha256, counts, downloaded, verified };
}

function faultOf(error: unknown): object {
  const detail = error instanceof Error ? error.message : String(error);
  if (error instanceof RefusedError) return error.problem;
  if (error instanceof DumpError) return { type: `dump-${error.fault}`, detail };
  if (error instanceof UnreachableError) return { type: 'unreachable', detail };
  return { type: error instanceof InterruptedError ? 'interrupted' : 'request-invalid', detail };
}
