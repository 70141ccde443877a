/**
 * What a poll and a kick-off cost, in round trips to a real ActiveMQ, and what 2,000 dumps leave behind: `npm run bench`.
 * Needs the servers of test/servers. Prints ratios of one run; absolute times are only good beside each other.
 */
import type { AddressInfo } from 'node:net';
import { performance } from 'node:perf_hooks';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { readApiServerConfig } from '../../api-server/config.js';
import { openEngine } from '../../api-server/collections/search-engine/open-engine.js';
import { openDatabase } from '../../api-server/db/open-database.js';
import { openContentStore } from '../../api-server/documents/content-store/open-content-store.js';
import { createDumps } from '../../api-server/dumps/dumps.js';
import { createDumpStore } from '../../api-server/dumps/dump-store.js';
import { statusBody } from '../../api-server/dumps/status-body.js';
import { createApp } from '../../api-server/http/app.js';
import { httpServerOf } from '../../api-server/http/http-server.js';
import type { Route } from '../../api-server/http/route.js';
import { eventsOf, openBroker, PACKAGE_REQUESTS, type Broker } from '../../queue-config/index.js';
import {
  ingest,
  makeKey,
  makeMiner,
  makeService,
  someDocuments,
  type Miner,
  type Service,
} from '../acceptance/service.js';
import { startRealStage } from '../acceptance/stage.js';
import { waitUntil } from '../servers/wait-until.js';
import { holdConnection } from './held-connection.js';
import { interleave, report } from './measure.js';
import { plainClient, type PlainClient } from './plain-get.js';

const ROUNDS = Number(process.env['ROUNDS'] ?? 1_000);
/** Rounds before those that count: a server runs for weeks, and its code is compiled after some thousand requests. */
const WARM_UP = Number(process.env['WARM_UP'] ?? 400);
const DUMPS = Number(process.env['DUMPS'] ?? 2_000);
const POLLS_PER_DUMP = 10;
const FIRST = DUMPS / 10;

const stage = await startRealStage();
try {
  await latencies();
  if (DUMPS > 0) await memory();
} finally {
  await stage.close();
}

async function latencies(): Promise<void> {
  const service = await makeService(stage, { env: { LOG_LEVEL: 'warn' } });
  const packagers = openBroker({ urls: stage.broker.url('packager') });
  const line = await holdConnection(stage.broker.url('packager'));
  const { url } = await service.apiServer({ VALIDATE_RESPONSES: 'false' });
  await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(5));
  const key = await makeKey(service);
  const miner = makeMiner(url, key);
  try {
    // A dump that stays under way: its packager says that it has begun, and nothing more.
    const running = await miner.docset('texts');
    await miner.post(`${running}/dump?fmt=txt`);
    await say(packagers, running, 'Accepted.');
    await miner.pollUntil(`${running}/dump`, 'it runs', ({ status }) => status === 'running');
    const finished = await miner.docset('texts');
    await miner.post(`${finished}/dump?fmt=txt`);
    await say(packagers, finished, 'Accepted.');
    await say(packagers, finished, 'Complete: http://localhost/x\nSize: 1');
    await miner.pollToEnd(`${finished}/dump`);
    await emptyRequests(packagers);
    const fromMemory = await serveFromMemory(service, finished);
    const client = plainClient(url, key);
    const inMemory = plainClient(fromMemory.url, key);
    const bare = await bareKickOffs(packagers);
    await service.packager({ LOG_LEVEL: 'warn' });

    const polls = await interleave(
      {
        trip: () => line.roundTrip(),
        running: () => client.ask(`${running}/dump`),
        event: async () => {
          await say(packagers, running, 'Progress: 50%');
          const started = performance.now();
          await client.ask(`${running}/dump`);
          return performance.now() - started;
        },
        finished: () => client.ask(`${finished}/dump`),
        memory: () => inMemory.ask(`${finished}/dump`),
      },
      { rounds: ROUNDS, warmUp: WARM_UP },
    );
    const kickOffs = await interleave(
      {
        trip: () => line.roundTrip(),
        send: () => sendThroughPort(packagers),
        kickOff: async () => untilAccepted(miner, client),
      },
      { rounds: Math.ceil(ROUNDS / 3), warmUp: WARM_UP },
    );
    for (const [name, { p50, p99 }] of [...Object.entries(polls), ...Object.entries(kickOffs)]) {
      process.stdout.write(`${name.padEnd(10)} p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms\n`);
    }
    const of = (figures: typeof polls, name: string): { p50: number; p99: number } => {
      const found = figures[name];
      if (found === undefined) throw new Error(`${name} was not measured`);
      return found;
    };
    const trip = of(polls, 'trip').p50;
    report('poll of a running dump, p50 / round trip', of(polls, 'running').p50 / trip, 3);
    report('poll of a running dump, p99 / round trip', of(polls, 'running').p99 / trip, 10);
    report('poll of a running dump with an event, p50 / round trip', of(polls, 'event').p50 / trip, 3);
    report(
      'poll of a finished dump / the handler from memory, p50',
      of(polls, 'finished').p50 / of(polls, 'memory').p50,
      2,
    );
    report(
      'kick-off until a poll sees Accepted, p50 / round trip',
      of(kickOffs, 'kickOff').p50 / of(kickOffs, 'trip').p50,
      5,
    );
    report(
      'kick-off until a poll sees Accepted, p50 / persistent SEND with receipt by the client library',
      of(kickOffs, 'kickOff').p50 / of(kickOffs, 'send').p50,
    );
    report('the messages of a kick-off alone, without HTTP and database, p50 / round trip', bare);
    client.close();
    inMemory.close();
    await fromMemory.close();
  } finally {
    await line.close();
    await packagers.close();
    await service.close();
  }
}

/** The same round trip as that of the held connection, as any program makes it that uses the STOMP client library. */
function sendThroughPort(broker: Broker): Promise<void> {
  const destination = eventsOf('bench');
  const expires = Date.now() + 1_000;
  return broker.publish({ destination, headers: {}, body: 'Progress: 1%', persistent: true, expires });
}

/** A dump asked for, and polled without a pause until a packager has taken it. */
async function untilAccepted(miner: Miner, client: PlainClient): Promise<number> {
  const docset = await miner.docset('texts');
  const started = performance.now();
  await client.ask(`${docset}/dump?fmt=txt`, 'POST');
  for (;;) {
    const { status } = JSON.parse(await client.ask(`${docset}/dump`)) as { status: string };
    if (status !== 'accepted') break;
  }
  const took = performance.now() - started;
  // The packager is idle again before the next round.
  await miner.pollToEnd(`${docset}/dump`);
  return took;
}

/**
 * The least that a kick-off can cost on this broker: a request is published, its consumer answers `Accepted.`, and the answer is
 * drained, with nothing else around it.
 * @returns the median in round trips
 */
async function bareKickOffs(packagers: Broker): Promise<number> {
  const line = await holdConnection(stage.broker.url('packager'));
  const asker = openBroker({ urls: stage.broker.url('api-server') });
  let asked = 0;
  const consumer = packagers.consume(PACKAGE_REQUESTS, { prefetch: 1 }, async (delivery) => {
    const destination = eventsOf(delivery.message.body);
    const expires = Date.now() + 60_000;
    await delivery.publish({ destination, headers: {}, body: 'Accepted.', persistent: false, expires });
    await delivery.ack();
  });
  await consumer.ready;
  const kickOff = async (): Promise<number> => {
    const docset = `bare-${++asked}`;
    const started = performance.now();
    await asker.publish({ destination: PACKAGE_REQUESTS, headers: {}, body: docset, persistent: true });
    let heard = 0;
    while (heard === 0) {
      await asker.drain(eventsOf(docset), (messages) => {
        heard += messages.length;
        return Promise.resolve();
      });
    }
    return performance.now() - started;
  };
  const figures = await interleave(
    { trip: () => line.roundTrip(), kickOff },
    { rounds: Math.ceil(ROUNDS / 3), warmUp: WARM_UP },
  );
  await consumer.stop();
  await asker.close();
  await line.close();
  return (figures['kickOff']?.p50 ?? NaN) / (figures['trip']?.p50 ?? NaN);
}

/** The same application and middleware, whose poll answers a dump that it holds in memory. */
async function serveFromMemory(service: Service, docset: string): Promise<{ url: string; close: () => Promise<void> }> {
  const log = pino({ level: 'silent' });
  const config = readApiServerConfig({
    ...service.stores.env,
    BROKER_URL: stage.broker.url('api-server'),
    PACKAGER_KEY: 'not-used-in-this-benchmark',
  });
  const database = await openDatabase(config, log);
  const metrics = new Registry();
  const { knex } = database;
  const content = openContentStore(config);
  const dumps = createDumps(config, { knex, log, metrics });
  const dump = await createDumpStore(knex).newest(String(docset.split('/').at(-1)));
  if (dump === undefined) throw new Error('there is no dump to answer');
  const routes: Route[] = dumps.routes.map((route) =>
    route.method === 'get' && route.path === '/docsets/:docset/dump'
      ? { ...route, handler: () => ({ json: statusBody({ dump, stale: false }) }) }
      : route,
  );
  const app = createApp({
    config,
    knex,
    embedded: false,
    content,
    log,
    metrics,
    searchEngine: openEngine(config, { knex, content }),
    dumps: { ...dumps, routes },
  });
  const server = httpServerOf(app).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await dumps.close();
      await content.close();
      await database.close();
    },
  };
}

async function memory(): Promise<void> {
  const service = await makeService(stage, { env: { LOG_LEVEL: 'warn' } });
  const packagers = openBroker({ urls: stage.broker.url('packager') });
  await emptyRequests(packagers);
  const { url } = await service.apiServer({ VALIDATE_RESPONSES: 'false' });
  try {
    await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(5));
    const miner = makeMiner(url, await makeKey(service));
    // Each request is answered by its bare end, as soon as it is there.
    const consumer = packagers.consume(PACKAGE_REQUESTS, { prefetch: 8 }, async (delivery) => {
      const destination = eventsOf(String(/docsets\/([^?]+)/.exec(delivery.message.body)?.[1]));
      const send = (body: string): Promise<void> =>
        delivery.publish({ destination, headers: {}, body, persistent: false, expires: Date.now() + 60_000 });
      await send('Accepted.');
      await send('Complete: http://localhost/x\nSize: 1');
      await delivery.ack();
    });
    await consumer.ready;
    await manyDumps(miner, FIRST);
    const first = await residentMemory(url);
    await manyDumps(miner, DUMPS - FIRST);
    const last = await residentMemory(url);
    await consumer.stop();
    process.stdout.write(
      `api-server: ${mebibytes(first)} MiB after ${FIRST} dumps, ${mebibytes(last)} MiB after ${DUMPS}\n`,
    );
    report(`memory after ${DUMPS} dumps and ${DUMPS * POLLS_PER_DUMP} polls / after ${FIRST} dumps`, last / first, 1.2);
  } finally {
    await packagers.close();
    await service.close();
  }
}

async function manyDumps(miner: Miner, count: number): Promise<void> {
  const lane = async (share: number): Promise<void> => {
    for (let dump = 0; dump < share; dump++) {
      const docset = await miner.docset('texts');
      await miner.post(`${docset}/dump?fmt=txt`);
      for (let poll = 0; poll < POLLS_PER_DUMP; poll++) await miner.get(`${docset}/dump`);
      await miner.pollToEnd(`${docset}/dump`);
    }
  };
  await Promise.all(Array.from({ length: 4 }, () => lane(count / 4)));
}

/** Bytes, the least of some readings: garbage that is about to go does not count. */
async function residentMemory(url: string): Promise<number> {
  const readings: number[] = [];
  await waitUntil(
    'ten readings',
    async () => {
      const text = await (await fetch(`${url}/metrics`)).text();
      readings.push(Number(/^process_resident_memory_bytes (\d+)/m.exec(text)?.[1]));
      return readings.length === 10;
    },
    { pauseMs: 500 },
  );
  return Math.min(...readings);
}

/** Takes what other benchmarks have left in the queue of requests. */
async function emptyRequests(broker: Broker): Promise<void> {
  const consumer = broker.consume(PACKAGE_REQUESTS, { prefetch: 100 }, (delivery) => delivery.ack());
  await consumer.ready;
  await waitUntil('no requests are left', async () => ((await stage.broker.queue(PACKAGE_REQUESTS))?.size ?? 0) === 0);
  await consumer.stop();
}

function say(broker: Broker, docset: string, body: string): Promise<void> {
  const destination = eventsOf(String(docset.split('/').at(-1)));
  return broker.publish({ destination, headers: {}, body, persistent: false, expires: Date.now() + 60_000 });
}

function mebibytes(bytes: number): string {
  return (bytes / 1024 / 1024).toFixed(0);
}
