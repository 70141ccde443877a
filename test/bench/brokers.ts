/**
 * What the brokers of the contract cost and do, side by side: `npm run bench:brokers`.
 *
 * BROKERS names some of them, separated by commas; by default all that are installed. ROUNDS (1000) are the drains that are timed,
 * TRIALS (1000) the drains with which a writer races, QUEUES (2000) the transient queues that are alive at a time, KICK_OFFS (2000) the
 * dumps that are asked for, of an api-server on PostgreSQL. Prints a table and, last, one line of JSON. REPORT names a Markdown
 * file (docs/brokers.md), into which the table is written.
 */
import { fork } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pMap from 'p-map';
import {
  DEAD_LETTERS,
  eventsOf,
  openBroker,
  PACKAGE_REQUESTS,
  type Broker,
  type Destination,
} from '../../queue-config/index.js';
import { ingest, makeKey, makeMiner, makeService, someDocuments } from '../acceptance/service.js';
import { makeFolderStores, type Stage } from '../acceptance/stage.js';
import { BROKERS, type BrokerKey, type BrokerRow, type RunningBroker } from '../contract/brokers.js';
import { isInstalled } from '../servers/installed.js';
import { startPostgreSQL, type PostgreSQL } from '../servers/postgresql.js';
import { interleave, type Figures } from './measure.js';
import { plainClient } from './plain-get.js';
import { writeFigures } from './write-figures.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 1_000);
const TRIALS = Number(process.env['TRIALS'] ?? 1_000);
const QUEUES = Number(process.env['QUEUES'] ?? 2_000);
const KICK_OFFS = Number(process.env['KICK_OFFS'] ?? 2_000);
/** Kick-offs, and bare sends, that are under way at a time. */
const AT_ONCE = 8;
const TURNS = 5;
const FEW = 10;
const EVENTS = 5;
/** Messages in each queue that idles. */
const WAITING = 3;
/** Milliseconds after which a drain finds what the one before did not. */
const LATE = 500;
const CONSUMER = join(import.meta.dirname, 'frozen-consumer.ts');
/** How long a message of a frozen consumer is waited for, in milliseconds. */
const PATIENCE = 120_000;

interface Findings {
  /** Milliseconds of a persistent SEND, until its receipt is here. */
  trip: Figures;
  /** Milliseconds of a drain of five events. */
  drain: Figures;
  /** Drains with which a writer raced, and after which something was lost, came twice or out of turn. */
  wrong: number;
  /** Those after which the next drain at once did not find everything, but one half a second later did. */
  late: number;
  /** Of a drain of five events, with many queues alive and with few. */
  slowdown: number;
  /** What a queue with three events adds to the memory of the broker, as the operating system counts it. */
  bytesOfQueue: number;
  /** Seconds until a message of a consumer that was frozen is with another one. */
  noticed: number;
  expired: 'dropped' | 'a dead letter';
  /** Dumps asked for in a second / persistent SENDs with receipt in a second, as many at a time; undefined without PostgreSQL. */
  kickOffs: number | undefined;
}

const wanted = process.env['BROKERS']?.split(',') ?? Object.keys(BROKERS);
const found = new Map<BrokerRow, Findings>();
const postgresql = isInstalled('postgresql') ? await startPostgreSQL() : undefined;
if (postgresql === undefined) process.stdout.write('no kick-offs: test/servers/install.sh postgresql\n');
for (const key of wanted) {
  const row = BROKERS[key as BrokerKey] as BrokerRow | undefined;
  if (row === undefined) throw new RangeError(`BROKERS: no such broker: ${key} (${Object.keys(BROKERS).join(', ')})`);
  if (row.server !== undefined && !isInstalled(row.server)) {
    process.stdout.write(`${row.title}: not installed: test/servers/install.sh ${row.server}\n`);
    continue;
  }
  // Each trial of a drain has a queue of its own, and none goes while the bench runs.
  const server = await row.start(QUEUES + TRIALS + 4 * ROUNDS);
  try {
    const findings = await measure(server);
    found.set(row, findings);
    process.stdout.write(`${row.title}: ${JSON.stringify(findings)}\n`);
  } catch (error) {
    // The others are worth their hours all the same.
    process.exitCode = 1;
    process.stdout.write(`${row.title}: ${String(error)}\n`);
  } finally {
    await server.stop();
  }
}
await postgresql?.close();
process.stdout.write(`${table()}\n`);
const report = process.env['REPORT'];
if (report !== undefined) await writeFigures(report, table());
process.stdout.write(
  `${JSON.stringify(Object.fromEntries([...found].map(([row, findings]) => [row.title, findings])))}\n`,
);

async function measure(server: RunningBroker): Promise<Findings> {
  const broker = openBroker({ urls: server.url('stomp'), authority: server.authority });
  try {
    const warm = eventsOf('bench');
    const figures = await interleave(
      { trip: () => broker.publish(event(warm)), drain: () => timeDrain(broker) },
      { rounds: ROUNDS, warmUp: 50 },
    );
    const { trip, drain } = figures as { trip: Figures; drain: Figures };
    await broker.drain(warm, () => Promise.resolve(), { timeoutMs: 60_000 });
    const { wrong, late } = await race(broker);
    const { slowdown, bytesOfQueue } = await measureQueues(broker, server.pid);
    const expired = await findExpired(broker);
    const noticed = await freezeConsumer(broker, server);
    const kickOffs = postgresql === undefined ? undefined : await compareKickOffs(broker, server, postgresql);
    return { trip, drain, wrong, late, slowdown, bytesOfQueue, noticed, expired, kickOffs };
  } finally {
    await broker.close();
  }
}

function event(destination: Destination, body = 'Progress: 42%') {
  return { destination, headers: {}, body, persistent: true, expires: Date.now() + 600_000 };
}

function freshQueue(): Destination {
  return eventsOf(`bench-${randomUUID()}`);
}

/** Milliseconds until five events of one docset are read. */
async function timeDrain(broker: Broker): Promise<number> {
  const queue = freshQueue();
  for (let count = 0; count < EVENTS; count++) await broker.publish(event(queue));
  const started = performance.now();
  const { drained } = await broker.drain(queue, () => Promise.resolve(), { onUnconfirmed: () => undefined });
  const took = performance.now() - started;
  if (drained !== EVENTS) throw new Error(`${drained} events were drained, not ${EVENTS}`);
  return took;
}

/** In each trial a drain and a writer of a few events start at once. @returns in how many an event was lost, came twice or out of turn, or came late */
async function race(broker: Broker): Promise<Pick<Findings, 'wrong' | 'late'>> {
  let wrong = 0;
  let late = 0;
  for (let trial = 0; trial < TRIALS; trial++) {
    const queue = freshQueue();
    const texts = Array.from({ length: trial % 4 }, (_, number) => `Progress: ${number}%`);
    const seen: string[] = [];
    const drain = () =>
      broker.drain(queue, (batch) => Promise.resolve(void seen.push(...batch.map(({ body }) => body))), {
        timeoutMs: 60_000,
      });
    await Promise.all([drain(), pMap(texts, (text) => broker.publish(event(queue, text)), { concurrency: 1 })]);
    await drain();
    if (seen.join() === texts.join()) continue;
    await sleep(LATE);
    await drain();
    if (seen.join() === texts.join()) late += 1;
    else wrong += 1;
  }
  return { wrong, late };
}

async function measureQueues(broker: Broker, pid: number): Promise<Pick<Findings, 'slowdown' | 'bytesOfQueue'>> {
  const fill = async (count: number): Promise<void> => {
    const queues = Array.from({ length: count }, freshQueue);
    await pMap(
      queues,
      async (queue) => {
        for (let number = 0; number < WAITING; number++) await broker.publish({ ...event(queue), persistent: false });
      },
      { concurrency: 4 },
    );
  };
  await fill(FEW);
  const few = await interleave({ drain: () => timeDrain(broker) }, { rounds: ROUNDS, warmUp: 20 });
  const before = residentBytes(pid);
  await fill(QUEUES);
  const bytesOfQueue = (residentBytes(pid) - before) / QUEUES;
  const many = await interleave({ drain: () => timeDrain(broker) }, { rounds: ROUNDS, warmUp: 20 });
  return { slowdown: (many['drain']?.p50 ?? NaN) / (few['drain']?.p50 ?? NaN), bytesOfQueue };
}

function residentBytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}

/** A persistent message whose time is over: it is looked for among the dead letters. */
async function findExpired(broker: Broker): Promise<Findings['expired']> {
  const queue = freshQueue();
  const text = `Progress: 1%\nMark: ${randomUUID()}`;
  await broker.publish({ ...event(queue, text), expires: Date.now() + 500 });
  await sleep(1_500);
  const read: string[] = [];
  const into = (batch: readonly { body: string }[]) =>
    Promise.resolve(void read.push(...batch.map(({ body }) => body)));
  await broker.drain(queue, into);
  if (read.length > 0) throw new Error('a message was read after its time');
  await broker.drain(DEAD_LETTERS, into, { timeoutMs: 60_000 });
  return read.includes(text) ? 'a dead letter' : 'dropped';
}

/** A packager takes a message and is frozen; another one waits for it. */
async function freezeConsumer(broker: Broker, server: RunningBroker): Promise<number> {
  const queue = freshQueue();
  const child = fork(CONSUMER, [server.url('stomp'), queue], { execArgv: ['--import', 'tsx'] });
  try {
    await once(child, 'message');
    await broker.publish(event(queue));
    await once(child, 'message');
    child.kill('SIGSTOP');
    const frozen = performance.now();
    const second = broker.consume(queue, { prefetch: 1 }, async (delivery) => {
      await delivery.ack();
      taken();
    });
    let taken = (): void => undefined;
    const late = new Promise<never>((_, reject) =>
      setTimeout(() => reject(new Error('nobody noticed it')), PATIENCE).unref(),
    );
    await Promise.race([new Promise<void>((resolve) => (taken = resolve)), late]);
    const seconds = (performance.now() - frozen) / 1000;
    await second.stop();
    return seconds;
  } finally {
    child.kill('SIGKILL');
  }
}

/** Rounds of both in turn; nobody takes the requests. @returns their rates' ratio */
async function compareKickOffs(broker: Broker, server: RunningBroker, database: PostgreSQL): Promise<number> {
  const service = await makeService(stageOn(server, database), {
    env: { LOG_LEVEL: 'warn', QUOTA_DUMPS: 'unlimited' },
  });
  try {
    const { url } = await service.apiServer({ VALIDATE_RESPONSES: 'false' });
    await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(5));
    const key = await makeKey(service);
    const miner = makeMiner(url, key);
    const client = plainClient(url, key);
    const timed = async (work: (number: number) => Promise<void>): Promise<number> => {
      const started = performance.now();
      await pMap(Array(KICK_OFFS / TURNS).keys(), work, { concurrency: AT_ONCE });
      return performance.now() - started;
    };
    const times = await interleave(
      {
        send: () => timed(() => broker.publish(event(PACKAGE_REQUESTS, 'a request that nobody reads'))),
        kickOff: async () => {
          const docsets = await pMap(Array(KICK_OFFS / TURNS).keys(), () => miner.docset('texts'));
          return timed(async (number) => {
            const answer = await client.ask(`${docsets[number]}/dump?fmt=txt`, 'POST');
            const { status } = JSON.parse(answer) as { status: string };
            if (status !== 'accepted') throw new Error(`a kick-off was answered ${answer}`);
          });
        },
      },
      { rounds: TURNS, warmUp: 1 },
    );
    client.close();
    return (times['send']?.p50 ?? NaN) / (times['kickOff']?.p50 ?? NaN);
  } finally {
    await service.close();
  }
}

/** What a service needs to know of where it runs. */
function stageOn(server: RunningBroker, database: PostgreSQL): Stage {
  const unused = (): never => {
    throw new Error('the bench starts and stops its brokers itself');
  };
  return {
    name: 'real',
    broker: { port: 0, url: (account) => server.url('stomp', account), queue: unused, stop: unused, restart: unused },
    makeStores: () => makeFolderStores(database),
    close: () => Promise.resolve(),
  };
}

function table(): string {
  const head = [
    'broker',
    'SEND with receipt, p50',
    `drain of ${EVENTS}, p50`,
    'p99',
    'p50 in round trips',
    'p99 in round trips',
    `wrong of ${TRIALS.toLocaleString('en')}`,
    'late',
    `drain beside ${QUEUES.toLocaleString('en')} queues / beside ${FEW}`,
    'a queue of three events',
    'frozen consumer noticed after',
    'expired message',
    'kick-offs / bare SENDs',
  ];
  const rows = [...found].map(
    ([{ title }, { trip, drain, wrong, late, slowdown, bytesOfQueue, noticed, expired, kickOffs }]) => [
      title,
      `${trip.p50.toFixed(2)} ms`,
      `${drain.p50.toFixed(2)} ms`,
      `${drain.p99.toFixed(1)} ms`,
      (drain.p50 / trip.p50).toFixed(1),
      (drain.p99 / trip.p50).toFixed(1),
      String(wrong),
      String(late),
      slowdown.toFixed(2),
      `${(bytesOfQueue / 1024).toFixed(0)} KiB`,
      `${noticed.toFixed(0)} s`,
      expired,
      kickOffs?.toFixed(2) ?? 'not measured',
    ],
  );
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}
