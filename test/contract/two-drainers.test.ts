/** RabbitMQ has nothing that keeps two drains of one queue apart, so here they are two processes, as two api-servers are. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { eventsOf, openBroker } from '../../queue-config/index.js';
import { describeOn, startRabbitMQ, waitUntil } from '../servers/index.js';

const PROGRAM = fileURLToPath(new URL('./drainer-process.ts', import.meta.url));
const EVENTS = 1_000;
const SLOW = { deadlineMs: 60_000 };

function startDrainer(url: string, queue: string): { seen: string[]; end: () => Promise<number | null> } {
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, url, queue], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const seen: string[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split('\n');
    rest = lines.pop() ?? '';
    seen.push(...lines);
  });
  return {
    seen,
    end() {
      child.stdin.write('enough\n');
      return ended;
    },
  };
}

describeOn('rabbitmq', 'two drainers in two processes, on RabbitMQ', () => {
  test('a writer that races with them loses no event, and none is read twice', async () => {
    const server = await startRabbitMQ();
    try {
      const queue = eventsOf('5');
      const drainers = [1, 2].map(() => startDrainer(server.url('api-server'), queue));
      await waitUntil('both drain', () => drainers.every(({ seen }) => seen.length > 0), SLOW);
      const writer = openBroker({ urls: server.url('packager') });
      const expires = Date.now() + 600_000;
      for (let n = 0; n < EVENTS; n++) {
        await writer.publish({ destination: queue, headers: {}, body: String(n), persistent: n % 10 === 0, expires });
      }
      await writer.close();
      const read = (): string[] => drainers.flatMap(({ seen }) => seen.slice(1));
      await waitUntil('all were read', () => read().length >= EVENTS, SLOW);
      for (const { end } of drainers) expect(await end()).toBe(0);
      expect(
        read()
          .map(Number)
          .sort((a, b) => a - b),
      ).toEqual(Array.from({ length: EVENTS }, (_, n) => n));
      for (const { seen } of drainers) expect(seen.length).toBeGreaterThan(1);
    } finally {
      await server.close();
    }
  }, 240_000);
});
