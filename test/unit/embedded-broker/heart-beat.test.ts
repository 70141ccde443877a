import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { releaseAfterTest, startBroker } from './broker-fixture.js';
import { connectRaw, dial, until } from './raw-client.js';

const QUEUE = '/queue/docsets/package';

describe('heart-beats', () => {
  it('that stop because the client is frozen give its messages to the next consumer', async () => {
    const { url, queue, events } = await startBroker({ limits: { heartBeatMs: 100 } });
    const script = fileURLToPath(new URL('./beating-client.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, new URL(url).port, QUEUE], { stdio: 'inherit' });
    const exited = once(child, 'exit');
    releaseAfterTest(async () => {
      child.kill('SIGKILL');
      await exited;
    });
    await until('the child is subscribed', () => queue(QUEUE)?.consumers === 1);
    const client = await connectRaw(url);
    await client.ask('SEND', { destination: QUEUE }, 'work');
    expect(queue(QUEUE)?.unacknowledged).toBe(1);
    child.kill('SIGSTOP');
    const frozen = Date.now();
    await until('the broker gives it up', () => queue(QUEUE)?.consumers === 0);
    expect(Date.now() - frozen).toBeLessThan(2_000);
    expect(events).toContainEqual(
      expect.objectContaining({ event: 'disconnected', reason: expect.stringMatching(/no heart-beat/) }),
    );
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    expect((await client.take('MESSAGE')).headers.get('redelivered')).toBe('true');
  });

  it('of a client that keeps its promise keep it connected', async () => {
    const { url, broker } = await startBroker({ limits: { heartBeatMs: 50 } });
    const client = await connectRaw(url, { 'heart-beat': '50,0' });
    const beating = setInterval(() => client.socket.write('\n'), 25);
    const end = Date.now() + 500;
    try {
      await until('ten promises are kept', () => Date.now() > end || client.closed);
    } finally {
      clearInterval(beating);
    }
    expect(broker.statistics().connections).toBe(1);
    await until('it is given up once it falls silent', () => broker.statistics().connections === 0);
  });

  it('are sent as often as the client asked, and no promise is made that was not asked for', async () => {
    const { url } = await startBroker({ limits: { heartBeatMs: 50 } });
    const [asking, indifferent] = [await dial(url), await dial(url)];
    const beats: number[] = [];
    asking.socket.on('data', (chunk) => {
      if (chunk.toString() === '\n') beats.push(Date.now());
    });
    let heard = 0;
    indifferent.socket.on('data', () => heard++);
    asking.send('CONNECT', { 'accept-version': '1.2', 'heart-beat': '0,100' });
    indifferent.send('CONNECT', { 'accept-version': '1.2' });
    await until('ten beats have come', () => beats.length >= 10);
    const pauses = beats.slice(1).map((at, index) => at - (beats[index] ?? at));
    // Twice the promise is when a client gives the broker up.
    expect(Math.max(...pauses)).toBeLessThan(200);
    expect(heard).toBe(1);
    expect([asking.closed, indifferent.closed]).toEqual([false, false]);
  });
});
