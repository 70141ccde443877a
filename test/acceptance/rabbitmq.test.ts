import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createMinerClient } from '../../cli/miner/miner-client.js';
import { saveArchive } from '../../cli/miner/save-archive.js';
import { describeOn, waitUntil } from '../servers/index.js';
import { DOCUMENTS, holdDump } from './held-dump.js';
import { startRabbitMQStage, type Stage } from './stage.js';

describeOn(['rabbitmq', 'postgresql'], 'on RabbitMQ and PostgreSQL', () => {
  let stage: Stage;
  beforeAll(async () => {
    stage = await startRabbitMQStage();
  }, 180_000);
  afterAll(() => stage.close());

  test('a dump whose packager is killed on the way is built by another, and its archive verifies', async () => {
    const dump = await holdDump(stage);
    try {
      const queue = `/queue/package/${String(/docsets\/(.+)\/dump/.exec(dump.path)?.[1])}`;
      const hasNoConsumer = async (): Promise<boolean> => (await stage.broker.queue(queue))?.consumers === 0;
      await waitUntil('statistics tell of the queue, and of no consumer', hasNoConsumer, { deadlineMs: 60_000 });
      await dump.packager.kill();
      await dump.anotherPackager();
      const done = await dump.miner.pollToEnd(dump.path, 120_000);
      expect(done).toMatchObject({
        status: 'successful',
        attempt: 1,
        counts: { requested: DOCUMENTS, packed: DOCUMENTS },
      });
      const client = createMinerClient(dump.api.url, dump.minerKey);
      const { bag } = await saveArchive(client, done, dump.service.file('whole.zip'));
      expect(bag?.payload).toEqual({ txt: DOCUMENTS });
      // The same packager and the same queue once more.
      const again = dump.path.replace('fmt=txt', 'fmt=meta');
      await dump.miner.post(again);
      expect((await dump.miner.pollToEnd(again, 120_000)).status).toBe('successful');
      expect(dump.api.log()).toMatch(/RabbitMQ/);
    } finally {
      await dump.close();
    }
  }, 240_000);
});
