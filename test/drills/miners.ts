/** The dumps of a drill, asked for, awaited, downloaded and verified by the client that miners use. */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { DumpStatus, MinerClient } from '../../cli/miner/miner-client.js';
import { saveArchive } from '../../cli/miner/save-archive.js';
import type { Field } from './field.js';

/** How one dump ended for its miner. */
export interface Outcome {
  docset: string;
  seconds: number;
  /** Polls that were answered as stale. */
  stale: number;
  end:
    | { type: 'successful'; status: DumpStatus }
    | { type: 'failed'; status: DumpStatus; code: string }
    /** The client gave up, or what it got is wrong. */
    | { type: 'error'; error: unknown };
}

/** A miner waits no longer than this for a dump, in milliseconds. */
const PATIENCE = 5 * 60_000;

export async function makeDocsets(field: Field, count: number): Promise<string[]> {
  const docsets: string[] = [];
  for (let index = 0; index < count; index++) {
    const { id } = await field.miner.createDocset({ name: `drill ${index}`, collection: 'texts', query: 'document' });
    docsets.push(id);
  }
  return docsets;
}

/** All of them at once, each from the request to the verified archive. */
export async function dumpAll(field: Field, docsets: readonly string[]): Promise<Outcome[]> {
  return Promise.all(
    docsets.map(async (docset) => {
      await sleep(field.random.between(0, 2_000));
      return dumpOne(field, docset);
    }),
  );
}

/** One dump, from the request to the verified archive. */
export async function dumpOne(field: Field, docset: string): Promise<Outcome> {
  const started = performance.now();
  const outcome = (end: Outcome['end']): Outcome => ({
    docset,
    seconds: (performance.now() - started) / 1000,
    stale,
    end,
  });
  let stale = 0;
  const { miner } = field;
  const over = new AbortController();
  try {
    const made = (async () => {
      const status = await miner.awaitDump(await miner.requestDump(docset, { formats: ['txt'] }), (heard) => {
        if (heard.stale) stale += 1;
      });
      if (status.status === 'successful') await fetchArchive(field, miner, status);
      return status;
    })();
    const late = sleep(PATIENCE, undefined, { signal: over.signal }).then(() => {
      throw new Error(`the dump was not over after ${PATIENCE / 1000} s`);
    });
    return outcome(endOf(await Promise.race([made, late])));
  } catch (error) {
    return outcome({ type: 'error', error });
  } finally {
    over.abort();
  }
}

export function endOf(status: DumpStatus): Outcome['end'] {
  if (status.status === 'successful') return { type: 'successful', status };
  if (status.status !== 'failed') return { type: 'error', error: new Error(`the dump is ${status.status}`) };
  return { type: 'failed', status, code: (status.error?.type ?? '').replace(/^.*\//, '') };
}

/** @throws {Error} where it is not whole, or not of all documents */
export async function fetchArchive(field: Field, client: MinerClient, status: DumpStatus): Promise<void> {
  // The same dump may be fetched twice at a time.
  const file = field.service.file(`archives/${randomUUID()}.zip`);
  const { bag } = await saveArchive(client, status, file);
  await rm(file);
  const packed = bag?.payload['txt'];
  if (packed !== field.documents)
    throw new Error(`${String(packed)} of ${field.documents} documents are in the archive`);
}
