/**
 * Brings a service into each state of a dump, one after the other, and has each one looked at. Nothing of it is made up: packagers are
 * starved, held and killed.
 */
import type { Page } from 'playwright-core';
import { holdDump, type HeldDump } from '../acceptance/held-dump.js';
import { ingest, makeKey, someDocuments } from '../acceptance/service.js';
import { startEmbeddedStage, type Stage } from '../acceptance/stage.js';
import { connectStomp } from '../servers/stomp-peer.js';
import { waitUntil } from '../servers/wait-until.js';

/** Where a state is seen, by whom, and what is done before the picture is taken. */
interface View {
  url: string;
  path: string;
  key: string;
  prepare?: (page: Page) => Promise<unknown>;
}

/** @param see gets the name of each state; what comes after waits for it */
export async function eachDumpState(see: (state: string, view: View) => Promise<void>): Promise<void> {
  const stage = await startEmbeddedStage();
  try {
    const dump = await holdDump(stage);
    try {
      const adminKey = await makeKey(dump.service, 'admin');
      const at = (path: string, prepare?: View['prepare'], key = dump.minerKey): View => ({
        url: dump.api.url,
        path: path.replace(/^\/api/, ''),
        key,
        ...(prepare !== undefined && { prepare }),
      });
      await underWay(dump, (state, path, prepare) => see(state, at(path, prepare)));
      await see('operators-busy', at('/operators', seen('Being made'), adminKey));
      await cancelledAndFailed(dump, (state, path) => see(state, at(path)));
      await lost(dump);
      await see('dump-second-attempt', at(dump.path));
      await over(dump, adminKey, (state, path, prepare) => see(state, at(path, prepare)));
      await makeDeadLetters(stage);
      await see('operators-dead-letters', at('/operators', seen('Can be sent again'), adminKey));
      await see('operators-deleting', at('/operators', pressed('Delete them'), adminKey));
      await see('operators-miner', at('/operators'));
    } finally {
      await dump.close();
    }
  } finally {
    await stage.close();
  }
}

type See = (state: string, path: string, prepare?: View['prepare']) => Promise<void>;

const otherFormats = ({ path }: HeldDump, formats: string): string => path.replace(/fmt=.*/, `fmt=${formats}`);

async function underWay(dump: HeldDump, see: See): Promise<void> {
  await see('dump-ask', dump.path.replace(/\?.*/, ''), seen('to download'));
  const waiting = otherFormats(dump, 'meta');
  await see('dump-not-asked', waiting);
  await see('dump-running', dump.path, seen('A packager is making it.'));
  await dump.miner.post(waiting);
  await see('dump-waiting', waiting);
  await see('dump-cancelling', waiting, pressed('Cancel the dump'));
  await see('dumps', '/dumps');
}

async function cancelledAndFailed(dump: HeldDump, see: See): Promise<void> {
  const waiting = otherFormats(dump, 'meta');
  await dump.miner.delete(waiting);
  await see('dump-cancelled', waiting);
  // A packager that gets no bytes for so long gives up, and says so.
  const starved = await dump.service.packager({ API_URL: `http://127.0.0.1:${dump.line.port}`, STALL_TIMEOUT: '2s' });
  const failing = otherFormats(dump, 'meta,txt');
  await dump.miner.post(failing);
  await dump.miner.pollToEnd(failing, 120_000);
  await see('dump-failed', failing);
  await starved.stop();
}

/** The packager is killed, and the lease is over soon: another one is asked, and there is none. */
async function lost(dump: HeldDump): Promise<void> {
  await dump.packager.kill();
  await dump.api.stop();
  await dump.service.apiServer({ PORT: new URL(dump.api.url).port, DUMP_LEASE: '10s' });
  await dump.miner.pollUntil(dump.path, 'another is asked', ({ attempt }) => attempt === 2, 120_000);
}

async function over(dump: HeldDump, adminKey: string, see: See): Promise<void> {
  dump.release();
  await dump.anotherPackager();
  await dump.miner.pollToEnd(dump.path, 120_000);
  await see('dump-ready', dump.path);
  await see('dump-ready-everything', dump.path, async (page) => {
    await page.getByText('How to check it').click();
    await page.getByText('How it was made').click();
    await page.getByRole('radio', { name: 'BibTeX' }).check();
    await page.getByText('@misc{').waitFor();
  });
  const withoutTexts = someDocuments(4).map((document) => ({ ...document, files: {} }));
  await ingest(dump.api.url, adminKey, 'scans', [...someDocuments(14).slice(4), ...withoutTexts]);
  const incomplete = `${await dump.miner.docset('scans')}/dump?fmt=meta,txt`;
  await dump.miner.post(incomplete);
  await dump.miner.pollToEnd(incomplete, 120_000);
  await see('dump-omitted', incomplete);
  await dump.miner.delete(incomplete);
  await see('dump-gone', incomplete);
  await see('dumps-over', '/dumps');
}

async function makeDeadLetters({ broker }: Stage): Promise<void> {
  const peer = await connectStomp(broker.url('api-server'));
  await peer.request(
    'SEND',
    { destination: '/queue/docsets/package', persistent: 'true' },
    'package everything, please',
  );
  peer.destroy();
  await waitUntil('it is a dead letter', async () => ((await broker.queue('/queue/docsets/dead'))?.size ?? 0) > 0);
}

const seen =
  (text: string) =>
  (page: Page): Promise<unknown> =>
    page.getByText(text).first().waitFor();

const pressed =
  (name: string) =>
  (page: Page): Promise<unknown> =>
    page.getByRole('button', { name }).click();
