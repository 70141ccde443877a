/** Processes are killed and frozen, the broker goes away: the dump ends all the same, once, and says so. */
import { afterEach, describe, expect, test } from '@jest/globals';
import { createMinerClient, type DumpStatus } from '../../../cli/miner/miner-client.js';
import { saveArchive } from '../../../cli/miner/save-archive.js';
import { waitUntil } from '../../servers/wait-until.js';
import { startAckTrap } from '../ack-trap.js';
import { DOCUMENTS, holdDump, loseFirstAttempt, type HeldDump } from '../held-dump.js';
import { ingest, makeKey, makeMiner, makeService, someDocuments, withDatabase } from '../service.js';
import type { Stage } from '../stage.js';

export function losses(stage: () => Stage): void {
  describe('a dump', () => {
    const open: { close(): Promise<void> }[] = [];
    const later = <T extends { close(): Promise<void> }>(resource: T): T => {
      open.push(resource);
      return resource;
    };
    afterEach(async () => {
      for (let resource = open.pop(); resource !== undefined; resource = open.pop()) await resource.close();
    });

    test('whose packager is killed in the middle is built by another, and nothing half done is left', async () => {
      const dump = later(await holdDump(stage()));
      await dump.packager.kill();
      const early = await dump.miner.get<{ type: string }>(dump.path.replace('/dump?', '/dump/archive?'));
      expect(early).toMatchObject({ status: 404, body: { type: '/problems/result-not-ready' } });
      expect(await storedOf(dump)).toEqual([]);
      await dump.anotherPackager();
      await expectWholeAndAlone(dump);
    }, 120_000);

    test('whose packager freezes is built by another once the broker misses its heart-beat; waking up changes nothing', async () => {
      const dump = later(await holdDump(stage()));
      dump.packager.freeze();
      await dump.anotherPackager();
      await expectWholeAndAlone(dump);
      await expectWakingChangesNothing(dump);
    }, 180_000);

    test('whose packager freezes is asked for again once its lease is over; waking up changes nothing', async () => {
      const dump = later(await holdDump(stage()));
      dump.packager.freeze();
      await loseFirstAttempt(dump, dump.miner, '1 hour');
      await dump.anotherPackager();
      const done = await expectWholeAndAlone(dump);
      expect(done.attempt).toBe(2);
      await expectWakingChangesNothing(dump);
    }, 180_000);

    test('that is cancelled ends at once, and its packager stops and cleans up', async () => {
      const dump = later(await holdDump(stage()));
      expect(await dump.miner.delete(dump.path)).toMatchObject({
        status: 200,
        body: { status: 'dismissed', done: true },
      });
      dump.release();
      await waitUntil('the packager has stopped', () => dump.packager.log().includes('the job has ended'));
      await waitUntil('nothing is left', async () => (await dump.service.stores.unfinished()).length === 0);
      expect(await storedOf(dump)).toEqual([]);
      expect((await dump.miner.get(dump.path)).body.status).toBe('dismissed');
    }, 120_000);

    test('goes on when the broker was away, and polls meanwhile tell what was last known', async () => {
      const dump = later(await holdDump(stage()));
      await stage().broker.stop();
      try {
        const poll = await dump.miner.get(dump.path);
        expect(poll).toMatchObject({ status: 202, body: { status: 'running', stale: true, done: false } });
        expect(poll.body.progress).toBeGreaterThanOrEqual(dump.held.progress);
      } finally {
        await stage().broker.restart();
      }
      dump.release();
      await expectWholeAndAlone(dump);
    }, 120_000);

    test('is not accepted while the broker is away, and nothing is left of the attempt', async () => {
      const service = later(await makeService(stage()));
      const { url } = await service.apiServer();
      await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(3));
      const miner = makeMiner(url, await makeKey(service));
      const docset = await miner.docset('texts');
      await stage().broker.stop();
      try {
        const refused = await miner.post<{ type: string }>(`${docset}/dump?fmt=txt`);
        expect(refused).toMatchObject({ status: 503, body: { type: '/problems/broker-unavailable' } });
        expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
        expect((await miner.get<{ dumps: unknown[] }>('/api/dumps')).body.dumps).toEqual([]);
        expect((await miner.get<{ type: string }>(`${docset}/dump`)).body.type).toBe('/problems/dump-not-requested');
      } finally {
        await stage().broker.restart();
      }
      expect((await miner.post(`${docset}/dump?fmt=txt`)).status).toBe(202);
      await service.packager();
      expect((await miner.pollToEnd(`${docset}/dump`)).status).toBe('successful');
    }, 120_000);

    test('whose events expired unread is found by its manifest', async () => {
      const service = later(await makeService(stage()));
      const { url } = await service.apiServer({ DUMP_LEASE: '1s' });
      await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(3));
      const miner = makeMiner(url, await makeKey(service));
      const docset = await miner.docset('texts');
      await miner.post(`${docset}/dump?fmt=txt`);
      await service.packager({ EVENT_TTL: '1s' });
      const queue = `/queue/package/${String(docset.split('/').at(-1))}`;
      await waitUntil('the manifest is stored', async () =>
        (await service.stores.keys('dumps/')).some((key) => key.endsWith('manifest.json')),
      );
      await waitUntil('the events have expired', async () => ((await stage().broker.queue(queue))?.size ?? 0) === 0, {
        deadlineMs: 60_000,
      });
      const first = await miner.get(`${docset}/dump`);
      expect(first).toMatchObject({ status: 200, body: { status: 'successful', done: true } });
    }, 120_000);

    test('loses nothing and doubles nothing when the api-server is killed between commit and acknowledgement', async () => {
      const trap = later(await startAckTrap(stage().broker.port));
      const dump = later(
        await holdDump(stage(), { apiEnv: { BROKER_URL: throughPort(stage().broker.url('api-server'), trap.port) } }),
      );
      trap.set();
      // More events come: the held dump is released, and its end is there to be drained.
      dump.release();
      await waitUntil('the packager has finished', () => dump.packager.log().includes('the job is complete'));
      const lost = dump.miner.get(dump.path).catch(() => undefined);
      await trap.sprung;
      await dump.api.kill();
      await lost;
      expect(await withDatabase(dump.service, (knex) => knex('dumps').pluck<string[]>('status'))).toEqual([
        'successful',
      ]);
      const queue = `/queue/package/${String(/docsets\/(.+)\/dump/.exec(dump.path)?.[1])}`;
      await waitUntil(
        'what was not acknowledged is back',
        async () => ((await stage().broker.queue(queue))?.size ?? 0) > 0,
      );
      const restarted = await dump.service.apiServer({ PORT: new URL(dump.api.url).port, PUBLIC_URL: dump.api.url });
      const miner = makeMiner(restarted.url, dump.minerKey);
      const done = await miner.get(dump.path);
      expect(done).toMatchObject({ status: 200, body: { status: 'successful', attempt: 1 } });
      // Another dump of the docset drains the same queue: the old events change nothing.
      await miner.post(dump.path.replace('fmt=txt', 'fmt=meta'));
      await miner.pollToEnd(dump.path.replace('fmt=txt', 'fmt=meta'));
      expect((await miner.get(dump.path)).body).toEqual(done.body);
      // On ActiveMQ the fence of the killed drain is left, which concerns nobody and expires by itself.
      await waitUntil('the events are read', async () => ((await stage().broker.queue(queue))?.size ?? 0) <= 1);
    }, 120_000);

    async function storedOf(dump: HeldDump): Promise<string[]> {
      return dump.service.stores.keys('dumps/');
    }

    /** The dump ends well, its archive verifies, and there is nothing else in the store. */
    async function expectWholeAndAlone(dump: HeldDump): Promise<DumpStatus> {
      const done = await dump.miner.pollToEnd(dump.path, 90_000);
      expect(done).toMatchObject({
        status: 'successful',
        counts: { requested: DOCUMENTS, packed: DOCUMENTS, omitted: 0 },
      });
      const file = dump.service.file('whole.zip');
      const { bag } = await saveArchive(createMinerClient(dump.api.url, dump.minerKey), done, file);
      expect(bag?.payload).toEqual({ txt: DOCUMENTS });
      await waitUntil('nothing half done is left', async () => (await dump.service.stores.unfinished()).length === 0);
      expect((await storedOf(dump)).map((key) => key.replace(/.*\./, '')).sort()).toEqual(['json', 'zip']);
      return done;
    }

    async function expectWakingChangesNothing(dump: HeldDump): Promise<void> {
      const before = { status: (await dump.miner.get(dump.path)).body, stored: await storedOf(dump) };
      dump.release();
      dump.packager.thaw();
      await waitUntil('the woken packager has given up its job', () =>
        /the job has ended|the delivery was lost|given back/.test(dump.packager.log()),
      );
      await waitUntil('nothing half done is left', async () => (await dump.service.stores.unfinished()).length === 0);
      expect({ status: (await dump.miner.get(dump.path)).body, stored: await storedOf(dump) }).toEqual(before);
    }
  });
}

function throughPort(url: string, port: number): string {
  const through = new URL(url);
  through.port = String(port);
  return through.href;
}
