/** Api-servers whose clocks are ten minutes apart, before one database: they judge dumps by its clock. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { clockAhead, describeOn } from '../servers/index.js';
import { holdDump, loseFirstAttempt, type HeldDump } from './held-dump.js';
import { makeMiner, type Miner } from './service.js';
import { startRealStage, type Stage } from './stage.js';

const APART = 600;

describeOn(['activemq', 'postgresql', 'radosgw', 'faketime'], 'api-servers whose clocks are ten minutes apart', () => {
  let stage: Stage;
  let dump: HeldDump | undefined;
  beforeAll(async () => {
    stage = await startRealStage();
  }, 120_000);
  afterEach(() => dump?.close());
  afterAll(() => stage.close());

  /** The miner's dump, held in the middle, and the same miner at a server whose clock is wrong. */
  async function setUp(seconds: number): Promise<{ held: HeldDump; elsewhere: Miner }> {
    const held = await holdDump(stage, { env: { DUMP_LEASE: '60s' } });
    dump = held;
    const other = await held.service.apiServer(clockAhead(seconds));
    return { held, elsewhere: makeMiner(other.url, held.minerKey) };
  }

  test('the one that is ahead asks for no dump again, and writes down the time of the others', async () => {
    const { held, elsewhere } = await setUp(APART);
    expect((await elsewhere.get(held.path)).body).toMatchObject({ status: 'running', attempt: 1, warnings: [] });
    const started = Date.now();
    const docset = await elsewhere.docset('texts');
    const { created } = (await elsewhere.post(`${docset}/dump?fmt=txt`)).body;
    expect(Math.abs(Date.parse(created) - started)).toBeLessThan(60_000);
    held.release();
    for (const path of [held.path, `${docset}/dump?fmt=txt`]) {
      expect(await elsewhere.pollToEnd(path)).toMatchObject({ status: 'successful', attempt: 1 });
    }
  }, 180_000);

  test('the one that is behind asks for a silent dump again once its lease is over', async () => {
    const { held, elsewhere } = await setUp(-APART);
    held.packager.freeze();
    // Longer than the lease, and less than its clock is behind: by that one there would have been news just now.
    await loseFirstAttempt(held, elsewhere, '5 minutes');
    await held.anotherPackager();
    expect(await elsewhere.pollToEnd(held.path)).toMatchObject({ status: 'successful', attempt: 2 });
  }, 180_000);
});
