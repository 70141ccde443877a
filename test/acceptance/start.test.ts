/** `adit start`: the embedded service as one leaves it running. */
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { createMinerClient } from '../../cli/miner/miner-client.js';
import { saveArchive } from '../../cli/miner/save-archive.js';
import { freePorts } from '../servers/free-ports.js';
import { makeRunFolder } from '../servers/run-folder.js';
import { startAdit, type AditProcess } from './adit-process.js';
import { makeMiner } from './service.js';

describe('adit start', () => {
  const folder = makeRunFolder('start');
  const running: AditProcess[] = [];
  afterEach(async () => {
    for (const process of running.splice(0)) if (process.running()) await process.stop();
  });
  afterAll(() => folder.remove());

  test('says which port is taken, and ends', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'taken') };
    const start = startAdit('start', env, join(folder.path, 'taken.log'));
    await expect(start).rejects.toThrow(`Port ${port} is in use: set PORT to another.`);
    taken.close();
  });

  test('ends soon and quietly when it is told to while a dump is made', async () => {
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'stopped') };
    const started = await startAdit('start', env, join(folder.path, 'stopped.log'));
    running.push(started);
    const miner = makeMiner(`http://localhost:${port}`, /adit_\w+/.exec(started.log())?.[0] ?? '');
    const docset = await miner.docset('sotu');
    await miner.post(`${docset}/dump?fmt=meta,txt`);
    await miner.pollUntil(`${docset}/dump`, 'it runs', ({ status }) => status !== 'accepted');
    const told = performance.now();
    await started.stop();
    // The launcher kills what has not ended by itself within 15 seconds.
    expect(performance.now() - told).toBeLessThan(14_000);
    expect(started.log()).not.toContain('"level":50');
  });

  test('keeps keys, docsets, dumps and archives over kill -9, and shows its key once', async () => {
    const [port = 0] = await freePorts(1);
    const env = { PORT: String(port), DATA_DIR: join(folder.path, 'data') };
    const start = async (log: string): Promise<AditProcess> => {
      const started = await startAdit('start', env, join(folder.path, log));
      running.push(started);
      return started;
    };
    const first = await start('first.log');
    const key = /adit_\w+/.exec(first.log())?.[0] ?? '';
    const url = `http://localhost:${port}`;
    expect(first.log()).toContain(`${url}/docs`);
    const miner = makeMiner(url, key);
    const docset = await miner.docset('sotu', { term: { party: 'Whig' } });
    await miner.post(`${docset}/dump?fmt=txt`);
    const done = await miner.pollToEnd(`${docset}/dump`);
    const other = await miner.docset('sotu');
    // Killed with a dump under way, as a power switch would do it.
    await miner.post(`${other}/dump?fmt=meta,txt`);
    await first.kill();

    const second = await start('second.log');
    expect(second.log()).not.toMatch(/adit_\w+/);
    expect((await miner.get(`${docset}/dump`)).body).toEqual(done);
    const file = join(folder.path, 'whigs.zip');
    const { bag } = await saveArchive(createMinerClient(url, key), done, file);
    expect(bag?.payload).toEqual({ txt: done.counts.requested });
    const interrupted = await miner.pollToEnd(`${other}/dump`);
    expect(interrupted).toMatchObject({ status: 'successful', counts: { requested: 233, packed: 233 } });

    await second.stop();
    expect(second.log()).not.toMatch(/error/i);
  }, 120_000);
});
