import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { releaseAfterTest, startBroker } from './broker-fixture.js';
import { connectRaw, dial, until } from './raw-client.js';

const QUEUE = '/queue/docsets/package';

describe('heart-beats', () => {
  it('that stop because the client is frozen give its messages to the next consumer', async () => {
    const { url, queue, events } = await startBroker({ limits: { heartBeatMs: 500 } });
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
    await until('the broker gives it up', () => queue(QUEUE)?.consumers === 0);
    const reason = events.flatMap((event) => (event.event === 'disconnected' ? [event.reason] : [])).join();
    // The silence as the broker counts it: what this process itself stood still for is none of it.
    expect(Number(/no heart-beat for (\d+) ms/.exec(reason)?.[1])).toBeLessThan(2_000);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    expect((await client.take('MESSAGE')).headers.get('redelivered')).toBe('true');
  });

  it('of a client that keeps its promise keep it connected', async () => {
    // Twice the promise is more than what the broker may oversleep itself before it forgives the silence.
    const { url, broker } = await startBroker({ limits: { heartBeatMs: 300 } });
    const client = await connectRaw(url, { 'heart-beat': '300,0' });
    const beating = setInterval(() => client.socket.write('\n'), 25);
    const end = Date.now() + 3_000;
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
    // Of this process, which is the broker's as well: it does not tick while it stands still.
    let ticks = 0;
    const ticking = setInterval(() => ticks++, 10);
    releaseAfterTest(() => {
      clearInterval(ticking);
      return Promise.resolve();
    });
    const beats: number[] = [];
    asking.socket.on('data', (chunk) => {
      if (chunk.toString() === '\n') beats.push(ticks);
    });
    let heard = 0;
    indifferent.socket.on('data', () => heard++);
    asking.send('CONNECT', { 'accept-version': '1.2', 'heart-beat': '0,100' });
    indifferent.send('CONNECT', { 'accept-version': '1.2' });
    await until('ten beats have come', () => beats.length >= 10);
    const pauses = beats.slice(1).map((at, index) => at - (beats[index] ?? at));
    // Twice the promise is when a client gives the broker up.
    expect(Math.max(...pauses)).toBeLessThan(20);
    expect(heard).toBe(1);
    expect([asking.closed, indifferent.closed]).toEqual([false, false]);
  });
});
