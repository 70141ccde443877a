/** A dump that is stopped halfway through packaging, so that a test can do its worst at that moment. */
import { waitUntil } from '../servers/wait-until.js';
import type { DumpStatus } from '../../cli/miner/miner-client.js';
import {
  ingest,
  makeKey,
  makeMiner,
  makeService,
  someDocuments,
  withDatabase,
  type Miner,
  type Service,
} from './service.js';
import type { AditProcess } from './adit-process.js';
import { startSourceLine, type SourceLine } from './source-line.js';
import type { Stage } from './stage.js';

export interface HeldDump {
  service: Service;
  miner: Miner;
  minerKey: string;
  api: AditProcess & { url: string };
  packager: AditProcess;
  /** Between packagers and api-server. */
  line: SourceLine;
  /** The dump's path. */
  path: string;
  /** How it stood when it was stopped. */
  held: DumpStatus;
  /** A packager that reaches the api-server. */
  anotherPackager(): Promise<AditProcess>;
  /** Lets the first packager go on. */
  release(): void;
  close(): Promise<void>;
}

export interface HeldDumpOptions {
  env?: Record<string, string>;
  apiEnv?: Record<string, string>;
}

/** 20 MB, and where to stop: a part of the archive is on its way to the store by then. */
export const DOCUMENTS = 200;
const STOP_AT = 15_000_000;
const DOCUMENT_BYTES = 100_000;

export async function holdDump(stage: Stage, { env = {}, apiEnv = {} }: HeldDumpOptions = {}): Promise<HeldDump> {
  const service = await makeService(stage, { env });
  try {
    return await holdDumpOf(service, apiEnv);
  } catch (error) {
    await service.close();
    throw error;
  }
}

/**
 * Polls until the dump is asked for again, as if nothing had been heard of its first attempt for so long. To wait for the end of a
 * lease it would have to be short, and the second attempt would be lost as well on a machine that stands still.
 */
export async function loseFirstAttempt(dump: HeldDump, miner: Miner, silence: string): Promise<void> {
  await withDatabase(dump.service, (knex) =>
    waitUntil('the dump is asked for again', async () => {
      // Anew before each poll: one that finds news which was still on the way writes down that it is heard of.
      const updated = knex.raw('updated - ?::interval', [silence]);
      await knex('dumps').where({ attempt: 1 }).update({ updated });
      return (await miner.get(dump.path)).body.attempt === 2;
    }),
  );
}

async function holdDumpOf(service: Service, apiEnv: Record<string, string>): Promise<HeldDump> {
  const api = await service.apiServer(apiEnv);
  const line = await startSourceLine(Number(new URL(api.url).port));
  await ingest(api.url, await makeKey(service, 'admin'), 'texts', someDocuments(DOCUMENTS, DOCUMENT_BYTES));
  const minerKey = await makeKey(service);
  const miner = makeMiner(api.url, minerKey);
  const packager = await service.packager({ API_URL: `http://127.0.0.1:${line.port}` });
  const docset = await miner.docset('texts');
  const path = `${docset}/dump?fmt=txt`;
  line.stallAt(STOP_AT);
  await miner.post(path);
  await waitUntil('the dump is half done', () => line.bytes() > STOP_AT, { deadlineMs: 60_000 });
  const held = await miner.pollUntil(path, 'the packager has taken it', ({ status }) => status !== 'accepted');
  if (held.done) throw new Error('the dump was over before it could be stopped');
  return {
    service,
    miner,
    minerKey,
    api,
    packager,
    line,
    path,
    held,
    anotherPackager: () => service.packager(),
    release: () => line.resume(),
    async close() {
      line.resume();
      await service.close();
      await line.close();
    },
  };
}
