/** Nobody looks at a dump but its poll. */
import { beforeAll, afterAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { startTcpProxy, type TcpProxy } from '../../servers/tcp-proxy.js';
import { waitUntil } from '../../servers/wait-until.js';
import { ingest, makeKey, makeMiner, makeService, someDocuments, type Miner, type Service } from '../service.js';
import type { Stage } from '../stage.js';

/** How long nothing may be heard of an api-server at the broker, in milliseconds. */
const SILENCE = 30_000;

export function polling(stage: () => Stage, name: Stage['name']): void {
  describe('between polls', () => {
    let service: Service;
    let line: TcpProxy;
    let miner: Miner;
    let url: string;
    let key: string;

    beforeAll(async () => {
      service = await makeService(stage());
      line = await startTcpProxy(stage().broker.port);
      const throughLine = new URL(stage().broker.url('api-server'));
      throughLine.port = String(line.port);
      ({ url } = await service.apiServer({ BROKER_URL: throughLine.href }));
      await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(20));
      key = await makeKey(service);
      miner = makeMiner(url, key);
    });
    afterAll(async () => {
      await service.close();
      await line.close();
    });

    test('the api-server has no connection, no consumer and says nothing, while events come', async () => {
      const docset = await miner.docset('texts');
      const queue = `/queue/package/${String(docset.split('/').at(-1))}`;
      await miner.post(`${docset}/dump?fmt=txt`);
      expect((await miner.get(`${docset}/dump`)).body.status).toBe('accepted');
      await waitUntil('its connections are closed', () => line.open() === 0);
      const before = { bytes: line.bytes(), connections: line.connections() };
      const packager = await service.packager();
      const held = await waitUntil('events wait unread', async () => {
        const found = await stage().broker.queue(queue);
        return found !== undefined && found.size >= 2 && found;
      });
      expect(held.consumers).toBe(0);
      await sleep(SILENCE);
      expect({ bytes: line.bytes(), connections: line.connections() }).toEqual(before);
      expect((await stage().broker.queue(queue))?.consumers).toBe(0);
      expect(await miner.pollToEnd(`${docset}/dump`)).toMatchObject({ status: 'successful', stale: false });
      expect(line.connections()).toBeGreaterThan(before.connections);
      await packager.stop();
    }, 120_000);

    test('a poll of a finished dump touches no broker', async () => {
      const packager = await service.packager();
      const docset = await miner.docset('texts');
      await miner.post(`${docset}/dump?fmt=txt`);
      const done = await miner.pollToEnd(`${docset}/dump`);
      const before = line.connections();
      for (let poll = 0; poll < 5; poll++) {
        expect(await miner.get(`${docset}/dump`)).toMatchObject({ status: 200, body: { ...done } });
      }
      expect(line.connections()).toBe(before);
      await packager.stop();
    });

    test('ten polls at once all answer truthfully, and the end is counted once', async () => {
      const packager = await service.packager();
      const before = await finishedCount(url);
      const docset = await miner.docset('texts');
      await miner.post(`${docset}/dump?fmt=txt`);
      await pollInCrowds([miner], `${docset}/dump`);
      expect((await finishedCount(url)) - before).toBe(1);
      await packager.stop();
    });

    // The embedded database belongs to one api-server.
    const onShared = name === 'real' ? test : undefined;
    onShared?.('polls of two api-servers on one database at once lose nothing and fold nothing twice', async () => {
      const packager = await service.packager();
      const second = await service.apiServer();
      const docset = await miner.docset('texts');
      const before = (await finishedCount(url)) + (await finishedCount(second.url));
      await miner.post(`${docset}/dump?fmt=txt`);
      await pollInCrowds([miner, makeMiner(second.url, key)], `${docset}/dump`);
      expect((await finishedCount(url)) + (await finishedCount(second.url)) - before).toBe(1);
      await packager.stop();
    });
  });
}

/** Ten polls at a time until the dump is over: none may fail, go back, or differ at the end. */
async function pollInCrowds(miners: Miner[], path: string): Promise<void> {
  await waitUntil('the dump is over', async () => {
    const polls = Array.from({ length: 10 }, (_, index) => (miners[index % miners.length] as Miner).get(path));
    const answers = await Promise.all(polls);
    expect(answers.filter(({ status }) => status !== 200 && status !== 202)).toEqual([]);
    expect(answers.filter(({ body }) => body.stale)).toEqual([]);
    return answers.every(({ body }) => body.status === 'successful');
  });
}

/** How many dumps an api-server has seen succeed. */
async function finishedCount(url: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  return Number(/^adit_dumps_finished_total\{status="successful"\} (\d+)$/m.exec(text)?.[1] ?? 0);
}
