import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, open, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { crc32InScript } from '../../../queue-config/embedded-broker/journal-record.js';
import {
  buildBroker,
  removeBuild,
  startBrokerProcess,
  type BrokerProcess,
} from '../../contract/embedded-broker-process.js';
import { releaseAfterTest, startBroker, temporaryFolder } from './broker-fixture.js';
import { ackOf, bodiesOf, bodyOf, connectRaw, until, type RawClient } from './raw-client.js';

const QUEUE = '/queue/docsets/package';
const PERSISTENT = { destination: QUEUE, persistent: 'true' };

const journalOf = (folder: string): string => join(folder, 'messages.journal');
const sizeOf = async (folder: string): Promise<number> => (await stat(journalOf(folder))).size;

/** Everything on the queue, left there. */
async function contents(url: string, queue = QUEUE): Promise<string[]> {
  const client = await connectRaw(url);
  client.send('SUBSCRIBE', { destination: queue, id: 'd', ack: 'client', 'adit-drain': 'true' });
  const bodies: string[] = [];
  for (;;) {
    const frame = await client.take('MESSAGE');
    if (frame.headers.has('drain-end')) break;
    bodies.push(bodyOf(frame));
    if (bodies.length % 100 === 0) await client.ask('ACK', { id: ackOf(frame) });
  }
  await client.ask('DISCONNECT');
  return bodies;
}

async function send(client: RawClient, bodies: string[], headers: Record<string, string> = PERSISTENT): Promise<void> {
  await Promise.all(bodies.map((body) => client.ask('SEND', headers, body)));
}

describe('kill -9', () => {
  let build: string;
  beforeAll(() => {
    build = buildBroker();
  });
  afterAll(() => removeBuild(build));

  const start = async (folder: string): Promise<BrokerProcess> => {
    const broker = await startBrokerProcess(build, { folder });
    releaseAfterTest(() => broker.kill());
    return broker;
  };

  it('loses no message that was confirmed, of many senders at once, and invents none', async () => {
    const folder = await temporaryFolder();
    const broker = await start(folder);
    const sent = new Set<string>();
    const confirmed = new Set<string>();
    const senders = await Promise.all(Array.from({ length: 8 }, () => connectRaw(broker.url)));
    const sending = senders.map(async (sender, index) => {
      for (let at = 0; !sender.closed; at++) {
        const body = `${index}-${at} ${'x'.repeat((at * 37) % 2_000)}`;
        sent.add(body);
        await sender.ask('SEND', PERSISTENT, body);
        confirmed.add(body);
      }
    });
    await until('300 are confirmed', () => confirmed.size >= 300);
    await broker.kill();
    await Promise.allSettled(sending);
    const again = await start(folder);
    const kept: string[] = [];
    const reader = await connectRaw(again.url);
    reader.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual', 'prefetch-count': '1000' });
    await until('all confirmed are there', () => reader.frames.length >= confirmed.size);
    kept.push(...bodiesOf(reader.frames.filter(({ command }) => command === 'MESSAGE')));
    expect([...confirmed].filter((body) => !kept.includes(body))).toEqual([]);
    expect(kept.filter((body) => !sent.has(body))).toEqual([]);
    expect(new Set(kept).size).toBe(kept.length);
    for (let index = 0; index < 8; index++) {
      const order = kept.filter((body) => body.startsWith(`${index}-`)).map((body) => Number(/-(\d+)/.exec(body)?.[1]));
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  });

  it('loses nothing that was confirmed while the journal is compacted all the time', async () => {
    const folder = await temporaryFolder();
    const sent = new Set<string>();
    const confirmed = new Set<string>();
    let churned = 0;
    for (let round = 0; round < 5; round++) {
      const broker = await startBrokerProcess(build, { folder, limits: { compactBytes: 1_000 } });
      releaseAfterTest(() => broker.kill());
      const clients = await Promise.all(Array.from({ length: 6 }, () => connectRaw(broker.url)));
      clients[0]?.send('SUBSCRIBE', { destination: '/queue/churn', id: '1' });
      const working = clients.map(async (client, index) => {
        for (let at = 0; !client.closed; at++) {
          const body = `${round}-${index}-${at}`;
          sent.add(body);
          client.send('SEND', { destination: '/queue/churn', persistent: 'true' }, 'x'.repeat(3_000));
          await client.ask('SEND', PERSISTENT, body);
          confirmed.add(body);
          churned += 3_000;
        }
      });
      const enough = confirmed.size + 100 + 37 * round;
      await until('enough are confirmed', () => confirmed.size >= enough);
      await broker.kill();
      await Promise.allSettled(working);
    }
    const { url } = await startBroker({ folder });
    const kept = await contents(url);
    expect([...confirmed].filter((body) => !kept.includes(body))).toEqual([]);
    expect(kept.filter((body) => !sent.has(body))).toEqual([]);
    expect(new Set(kept).size).toBe(kept.length);
    expect(churned).toBeGreaterThan(1_000_000);
    expect(await sizeOf(folder)).toBeLessThan(churned / 2);
  });

  it('brings back nothing whose acknowledgement was confirmed, and everything else with its headers', async () => {
    const folder = await temporaryFolder();
    const broker = await start(folder);
    const client = await connectRaw(broker.url);
    await send(client, ['done', 'open'], {
      ...PERSISTENT,
      'correlation-id': 'a\nb:c',
      expires: String(Date.now() + 60_000),
    });
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    await client.ask('ACK', { id: ackOf(await client.take('MESSAGE')) });
    await broker.kill();
    const again = await connectRaw((await start(folder)).url);
    again.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client-individual' });
    const message = await again.take('MESSAGE');
    expect(bodyOf(message)).toBe('open');
    expect(message.headers.get('correlation-id')).toBe('a\nb:c');
    await again.ask('ACK', { id: ackOf(message) });
    expect(again.frames).toEqual([]);
  });

  it('of the broker leaves a lock that the next one takes over, and a living broker keeps its folder', async () => {
    const folder = await temporaryFolder();
    const broker = await start(folder);
    await expect(startBrokerProcess(build, { folder })).rejects.toThrow(
      new RegExp(`in use by another broker \\(process ${broker.pid}\\)`),
    );
    await broker.kill();
    expect(await readdir(folder)).toContain('broker.lock');
    const { broker: next, events } = await startBroker({ folder });
    expect(events).toContainEqual({ event: 'lock-taken-over', folder, pid: broker.pid });
    await next.stop();
    expect(await readdir(folder)).not.toContain('broker.lock');
  });
});

describe('a disk that is full', () => {
  it('is reported to senders; once it has room, nothing that was sent is missing', async () => {
    const build = buildBroker();
    releaseAfterTest(() => Promise.resolve().then(() => removeBuild(build)));
    const folder = await temporaryFolder();
    const broker = await startBrokerProcess(build, { folder });
    releaseAfterTest(() => broker.kill());
    const limitFiles = (bytes: string): void => {
      execFileSync('prlimit', ['--pid', String(broker.pid), `--fsize=${bytes}:`]);
    };
    await send(await connectRaw(broker.url), ['before']);
    limitFiles('20000');
    const unlucky = await connectRaw(broker.url);
    const refusal = await unlucky.ask('SEND', PERSISTENT, 'x'.repeat(30_000));
    expect(refusal.headers.get('message')).toBe('the broker cannot write its journal');
    // It cannot promise anything yet, though this one alone would fit.
    const second = await (await connectRaw(broker.url)).ask('SEND', PERSISTENT, 'small');
    expect(second.command).toBe('ERROR');
    limitFiles('unlimited');
    await send(await connectRaw(broker.url), ['after']);
    await broker.kill();
    const { url } = await startBroker({ folder });
    expect(await contents(url)).toEqual(['before', 'x'.repeat(30_000), 'small', 'after']);
  });
});

describe('SIGTERM', () => {
  it('ends the process by itself: a stopped broker holds no socket, timer or file', async () => {
    const build = buildBroker();
    releaseAfterTest(() => Promise.resolve().then(() => removeBuild(build)));
    const folder = await temporaryFolder();
    const broker = await startBrokerProcess(build, { folder, webSocketPort: 0 });
    const clients = await Promise.all(
      Array.from({ length: 5 }, () => connectRaw(broker.url, { 'heart-beat': '0,1000' })),
    );
    const [refused, sender] = clients as [RawClient, RawClient];
    refused.send('BEGIN', { transaction: 't' });
    await refused.take('ERROR');
    await send(sender, ['a', 'b']);
    const asked = Date.now();
    await broker.stop();
    // Half of the time that a client has to connect; heart-beats and the sweep would never end.
    expect(Date.now() - asked).toBeLessThan(5_000);
    expect(await readdir(folder)).toEqual(['messages.journal']);
  });
});

describe('a restart', () => {
  it('keeps persistent messages in order, dead letters and counts, and nothing else', async () => {
    const { url, broker, folder, queue } = await startBroker();
    const client = await connectRaw(url);
    await send(client, ['1', '2']);
    await send(client, ['fleeting'], { destination: QUEUE });
    await send(client, ['3'], { ...PERSISTENT, expires: '1' });
    await send(client, ['4']);
    await send(client, ['bad'], { destination: '/queue/other', persistent: 'true' });
    client.send('SUBSCRIBE', { destination: '/queue/other', id: '1', ack: 'client' });
    await client.ask('NACK', { id: ackOf(await client.take('MESSAGE')) });
    const victim = await connectRaw(url);
    victim.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client', 'prefetch-count': '1' });
    await victim.take('MESSAGE');
    await victim.cut();
    await until('it is back', () => queue(QUEUE)?.unacknowledged === 0);
    await broker.stop();

    const again = await startBroker({ folder });
    const reader = await connectRaw(again.url);
    reader.send('SUBSCRIBE', { destination: QUEUE, id: '1', ack: 'client' });
    const messages = await reader.takeMessages(3);
    expect(bodiesOf(messages)).toEqual(['1', '2', '4']);
    expect(messages.map(({ headers }) => headers.get('redelivery-count'))).toEqual(['1', undefined, undefined]);
    expect(await contents(again.url, '/queue/docsets/dead')).toEqual(['bad']);
    expect(again.queue('/queue/other')).toBeUndefined();
  });

  it('drops what expired meanwhile', async () => {
    const { url, broker, folder } = await startBroker();
    const expires = Date.now() + 200;
    await send(await connectRaw(url), ['old'], { ...PERSISTENT, expires: String(expires) });
    await broker.stop();
    await until('it has expired', () => Date.now() > expires);
    expect((await startBroker({ folder })).queue(QUEUE)).toBeUndefined();
  });

  it('gives no message an identity that another had', async () => {
    const folder = await temporaryFolder();
    const ids = new Set<string | undefined>();
    for (let start = 0; start < 3; start++) {
      const { url, broker } = await startBroker({ folder });
      const client = await connectRaw(url);
      await send(client, ['a', 'b']);
      client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
      for (const { headers } of await client.takeMessages(2)) ids.add(headers.get('message-id'));
      await broker.stop();
    }
    expect(ids.size).toBe(6);
  });
});

describe('the end of the journal', () => {
  async function written(count: number): Promise<string> {
    const { url, broker, folder } = await startBroker();
    await send(
      await connectRaw(url),
      Array.from({ length: count }, (_, at) => `message ${at}`),
    );
    await broker.stop();
    return folder;
  }

  it('that a crash has torn is cut off, kept aside and reported', async () => {
    const folder = await written(5);
    const whole = await readFile(journalOf(folder));
    await truncate(journalOf(folder), whole.length - 3);
    const { url, events, broker } = await startBroker({ folder });
    expect(await contents(url)).toHaveLength(4);
    const cut = events.find(({ event }) => event === 'journal-cut');
    expect(cut).toMatchObject({ event: 'journal-cut', file: journalOf(folder), savedAs: `${journalOf(folder)}.cut` });
    const kept = await readFile(`${journalOf(folder)}.cut`);
    expect(whole.includes(kept)).toBe(true);
    await send(await connectRaw(url), ['after']);
    await broker.stop();
    expect(await contents((await startBroker({ folder })).url)).toContain('after');
  });

  it.each([
    ['zeros', Buffer.alloc(5_000)],
    ['noise', Buffer.from('an end that is no record, and longer than a record head')],
    ['a length without its record', Buffer.from('7fffffff00000000', 'hex')],
  ])('that holds %s costs nothing before it', async (_name, tail) => {
    const folder = await written(5);
    await appendFile(journalOf(folder), tail);
    const { url, events } = await startBroker({ folder });
    expect(events).toContainEqual(expect.objectContaining({ event: 'journal-cut', bytes: tail.length }));
    expect(await contents(url)).toHaveLength(5);
  });

  it('wherever it is torn leaves a prefix of what was sent', async () => {
    const folder = await written(4);
    const whole = await readFile(journalOf(folder));
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 0, max: whole.length }), async (length) => {
        await writeFile(journalOf(folder), whole.subarray(0, length));
        const { url, broker } = await startBroker({ folder });
        const bodies = await contents(url);
        await broker.stop();
        expect(bodies).toEqual(Array.from({ length: bodies.length }, (_, at) => `message ${at}`));
      }),
      { numRuns: 25 },
    );
  });

  it('is not looked for in a file of somebody else', async () => {
    const folder = await temporaryFolder();
    await writeFile(journalOf(folder), 'Dear diary, today I was mistaken for a journal.\n');
    await expect(startBroker({ folder })).rejects.toThrow(/is not a journal of this broker/);
    expect(await readFile(journalOf(folder), 'utf8')).toMatch(/^Dear diary/);
    expect(await readdir(folder)).toEqual(['messages.journal']);
  });
});

describe('compaction', () => {
  it('keeps what is alive, gives the space of the rest back, and disturbs no sender', async () => {
    const { url, broker, folder, events } = await startBroker({ limits: { compactBytes: 200_000 } });
    const client = await connectRaw(url);
    await send(client, ['keep 1', 'keep 2'], { destination: '/queue/kept', persistent: 'true' });
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    let round = 0;
    while (events.filter(({ event }) => event === 'journal-compacted').length < 3) {
      await send(
        client,
        Array.from({ length: 20 }, () => 'x'.repeat(2_000)),
      );
      await send(client, [`keep ${3 + round++}`], { destination: '/queue/kept', persistent: 'true' });
    }
    await broker.stop();
    expect(await sizeOf(folder)).toBeLessThan(400_000);
    expect(await readdir(folder)).toEqual(['messages.journal']);
    const again = await startBroker({ folder });
    expect(await contents(again.url, '/queue/kept')).toEqual(
      Array.from({ length: round + 2 }, (_, at) => `keep ${at + 1}`),
    );
    expect(again.queue(QUEUE)).toBeUndefined();
  });

  it('that was interrupted leaves the old journal in force', async () => {
    const { url, broker, folder } = await startBroker();
    await send(await connectRaw(url), ['a', 'b']);
    await broker.stop();
    await writeFile(`${journalOf(folder)}.new`, 'half of a new journal');
    const again = await startBroker({ folder });
    expect(await contents(again.url)).toEqual(['a', 'b']);
    expect(await readdir(folder)).not.toContain('messages.journal.new');
  });

  it('that fails is reported, and messages are confirmed as before', async () => {
    const { url, folder, events } = await startBroker({ limits: { compactBytes: 50_000 } });
    // A folder in its place: opening the new file fails.
    await mkdir(`${journalOf(folder)}.new`);
    const client = await connectRaw(url);
    client.send('SUBSCRIBE', { destination: QUEUE, id: '1' });
    for (let round = 0; !events.some(({ event }) => event === 'journal-failed'); round++) {
      await send(client, ['x'.repeat(5_000)]);
      expect(round).toBeLessThan(100);
    }
    expect((await client.ask('SEND', PERSISTENT, 'more')).command).toBe('RECEIPT');
    await rm(`${journalOf(folder)}.new`, { recursive: true });
    while (!events.some(({ event }) => event === 'journal-compacted')) await send(client, ['x'.repeat(5_000)]);
  });
});

describe('the lock', () => {
  it('keeps a second broker of the same process out, too', async () => {
    const { folder } = await startBroker();
    await expect(startBroker({ folder })).rejects.toThrow(/in use by another broker/);
  });

  it('of a process whose id is somebody else now, or that is unreadable, is taken over', async () => {
    const folder = await temporaryFolder();
    for (const content of [JSON.stringify({ pid: 1, started: 'another boot/5', token: 't' }), '{"pi']) {
      await writeFile(join(folder, 'broker.lock'), content);
      const { broker } = await startBroker({ folder });
      await broker.stop();
    }
  });
});

describe('the checksum', () => {
  it('is the same in script as in Node', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (bytes) => {
        const data = Buffer.from(bytes);
        expect(crc32InScript(data)).toBe(crc32(data));
      }),
    );
  });

  it('finds a flipped bit: what follows it is cut off', async () => {
    const { url, broker, folder } = await startBroker();
    await send(await connectRaw(url), ['first', 'second', 'third']);
    await broker.stop();
    const bytes = await readFile(journalOf(folder));
    const file = await open(journalOf(folder), 'r+');
    await file.write(Buffer.from('S'), 0, 1, bytes.indexOf('second'));
    await file.close();
    const again = await startBroker({ folder });
    expect(await contents(again.url)).toEqual(['first']);
    expect(again.events).toContainEqual(expect.objectContaining({ event: 'journal-cut' }));
  });
});
