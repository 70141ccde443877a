/**
 * Packagers that lie, fall silent, flood or are killed: every dump has a true end in bounded time, a poll does a bounded amount of
 * work, and the operator sees which packager it was. ROGUE_EVENTS says how many events the flood has (default 4,000).
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { createMinerClient, type DumpStatus } from '../../cli/miner/miner-client.js';
import { saveArchive } from '../../cli/miner/save-archive.js';
import { readPackagerConfig, startPackager, type Packager } from '../../packager/index.js';
import { startEmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { encodeManifest } from '../../queue-config/index.js';
import {
  describeOn,
  startActiveMQ,
  startPostgreSQL,
  startTcpProxy,
  waitUntil,
  type PostgreSQL,
  type TcpProxy,
} from '../servers/index.js';
import {
  fill,
  PACKAGER_KEY,
  startFreshApiServer,
  type Client,
  type FreshApiServer,
} from '../api-server/fresh-api-server.js';
import { compilePackager, type CompiledPackager } from '../packager/compiled-packager.js';
import { ROGUE, startRogue, type Rogue, type TakenRequest } from './rogue/start-rogue.js';

const EVENTS = Number(process.env['ROGUE_EVENTS'] ?? 4_000);
/** What a poll reads at the most, and how many statements it may take for that. */
const EVENTS_OF_A_POLL = 1_000;
const STATEMENTS_OF_A_POLL = 60;

interface Surroundings {
  brokerUrl(account: 'api-server' | 'packager'): string;
  /** Messages on a queue. */
  depth(queue: string): Promise<number>;
  /** Undefined: embedded. */
  postgresql?: PostgreSQL;
  close(): Promise<void>;
}

/** The machine may be slow. */
const PATIENT = { deadlineMs: 60_000 };

const MAIN = `
import { pino } from 'pino';
import { readPackagerConfig, startPackager } from './packager/index.js';
startPackager(readPackagerConfig(process.env), { log: pino({ level: 'info' }) });
`;

function roguePackagers(name: 'embedded' | 'real', startSurroundings: () => Promise<Surroundings>): void {
  let surroundings: Surroundings;
  let server: FreshApiServer;
  let admin: Client;
  let adminKey: string;
  let rogue: Rogue;
  const open: { close(): Promise<void> }[] = [];
  const later = <T extends { close(): Promise<void> }>(resource: T): T => {
    open.push(resource);
    return resource;
  };

  beforeAll(async () => {
    surroundings = await startSurroundings();
    server = await startFreshApiServer(await surroundings.postgresql?.createDatabase(), {
      BROKER_URL: surroundings.brokerUrl('api-server'),
      POLL_INTERVAL: 'off',
      QUOTA_DUMPS: 'unlimited',
    });
    await fill(
      server,
      'texts',
      Array.from({ length: 3 }, (_, index) => ({
        ref: `doc-${index}`,
        metadata: { title: `Document ${index}` },
        files: { txt: { text: `The text of document ${index}.` } },
      })),
    );
    // An admin may do what a miner may, and is told which packager it was.
    adminKey = await server.keyOf('Operator', 'admin');
    admin = server.as(adminKey);
  }, 180_000);
  afterAll(async () => {
    await server.stop();
    await surroundings.close();
  });
  beforeEach(async () => {
    rogue = later(await startRogue(surroundings.brokerUrl('packager')));
  });
  afterEach(async () => {
    for (let resource = open.pop(); resource !== undefined; resource = open.pop()) await resource.close();
    // Whatever a test leaves behind is over; what it has asked for, it has taken.
    await server.parts.knex('dumps').delete();
  });

  /** Asks for a dump of a docset of its own. @returns its path */
  async function ask(client = admin): Promise<string> {
    const docset = await client.post('/api/docsets').send({ collection: 'texts', query: { match_all: {} } });
    const path = `/api${(docset.body as { url: string }).url}/dump?fmt=txt`;
    await client.post(path).expect(202);
    return path;
  }
  const poll = async (path: string, client = admin): Promise<DumpStatus> => (await client.get(path)).body as DumpStatus;
  const pollUntil = (path: string, what: string, holds: (status: DumpStatus) => boolean): Promise<DumpStatus> =>
    waitUntil(
      what,
      async () => {
        const status = await poll(path);
        return holds(status) && status;
      },
      { deadlineMs: 60_000, pauseMs: 100 },
    );
  const pollToEnd = (path: string): Promise<DumpStatus> => pollUntil(path, 'the dump is over', ({ done }) => done);
  const queueOf = (path: string): string => `/queue/package/${String(/docsets\/([^/]+)/.exec(path)?.[1])}`;
  const metric = async (line: string): Promise<number> => {
    const text = await (await fetch(`${server.url}/metrics`)).text();
    return Number(
      text
        .split('\n')
        .find((each) => each.startsWith(`${line} `))
        ?.split(' ')[1] ?? 0,
    );
  };

  /** Lets time pass for a dump, as far as the api-server can tell. */
  async function age({ id }: Pick<DumpStatus, 'id'>, time: string, ...columns: string[]): Promise<void> {
    const { knex } = server.parts;
    for (const column of columns) {
      await knex('dumps')
        .where({ id })
        .update({ [column]: knex.raw('?? - ?::interval', [column, time]) });
    }
  }

  function honestPackager(apiUrl = server.url): Packager {
    const config = readPackagerConfig({
      BROKER_URL: surroundings.brokerUrl('packager'),
      API_URL: apiUrl,
      PACKAGER_KEY,
      DATA_DIR: server.parts.config.dataDir,
      PACKAGER_NAME: 'honest',
    });
    const packager = startPackager(config, { log: pino({ level: 'silent' }) });
    later({ close: () => packager.stop() });
    return packager;
  }

  /** A miner downloads the archive and checks all of it. */
  async function save(status: DumpStatus): Promise<{ payload: unknown; files: string[] }> {
    const folder = await mkdtemp(join(tmpdir(), 'adit-rogue-'));
    try {
      const { bag } = await saveArchive(createMinerClient(server.url, adminKey), status, join(folder, 'a.zip'));
      return { payload: bag?.payload, files: await readdir(folder) };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** An archive with its manifest, as the rogue's request wants them. */
  async function store({ headers }: TakenRequest, content: string, facts: object = {}): Promise<void> {
    const { 'archive-key': key = '', 'correlation-id': dump = '', attempt = '' } = headers;
    const folder = join(server.parts.config.dataDir, 'archives', key);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'rogue.zip'), content);
    const manifest = encodeManifest({
      version: 1,
      dump,
      attempt: Number(attempt),
      run: Date.now(),
      docset: '1',
      formats: ['txt'],
      archive: { key: `${key}rogue.zip`, size: content.length, sha256: digestOf(content), ...facts },
      counts: { requested: 3, packed: 3, omitted: 0 },
      files: { requested: 3, packed: 3, omitted: 0 },
      timeline: [],
      completed: new Date().toISOString(),
      packager: ROGUE,
    });
    await writeFile(join(folder, 'manifest.json'), manifest);
  }

  test('one that reports for ever loses the dump each time, and its client has an end', async () => {
    const path = await ask();
    for (const attempt of [1, 2, 3]) {
      const [request] = await rogue.take(1);
      await rogue.report(request as TakenRequest, 'Accepted.');
      await rogue.report(request as TakenRequest, 'Progress: 42%\nPhase: packaging');
      const running = await poll(path);
      expect(running).toMatchObject({ status: 'running', attempt, progress: 42, packager: ROGUE });
      await age(running, '25 hours', 'taken', 'created');
      await rogue.report(request as TakenRequest, 'Progress: 43%\nPhase: packaging');
      const after = await poll(path);
      expect(after.warnings.at(-1)).toMatchObject({ code: 'packaging-overdue', attempt, packager: ROGUE });
      await rogue.report(request as TakenRequest, 'Progress: 44%');
      if (attempt < 3) expect(after).toMatchObject({ status: 'accepted', attempt: attempt + 1, progress: 0 });
    }
    expect(await poll(path)).toMatchObject({
      status: 'failed',
      done: true,
      error: { type: '/problems/packaging-overdue', detail: expect.stringContaining('within 1 day') },
    });
  });

  test('one that completes without an archive is not believed, and an honest one makes the dump', async () => {
    const path = await ask();
    const [request] = await rogue.take(1);
    await rogue.report(request as TakenRequest, 'Accepted.');
    await rogue.report(request as TakenRequest, 'Complete: https://s3.example.org/a.zip\nSize: 5');
    const again = await poll(path);
    expect(again).toMatchObject({ status: 'accepted', attempt: 2, stale: false });
    expect(again.warnings).toMatchObject([{ code: 'archive-missing', attempt: 1, count: 1, packager: ROGUE }]);
    honestPackager();
    const done = await pollToEnd(path);
    expect(done).toMatchObject({ status: 'successful', attempt: 2, packager: expect.stringMatching(/^honest\//) });
    expect((await save(done)).payload).toEqual({ txt: 3 });
  });

  test('one that was away while its dump was asked for again stops, and leaves no archive', async () => {
    const line = later(await startTcpProxy(Number(new URL(server.url).port)));
    line.stall();
    const path = await ask();
    honestPackager(`http://127.0.0.1:${line.port}`);
    const running = await pollUntil(path, 'it has taken it', ({ status }) => status === 'running');
    await age(running, '1 hour', 'updated');
    expect(await poll(path)).toMatchObject({ status: 'accepted', attempt: 2 });
    const [second] = await rogue.take(1);
    line.resume();
    // Once it has made the next dump, it is done with this one.
    expect(await pollToEnd(await ask())).toMatchObject({ status: 'successful' });
    const archives = await readdir(join(server.parts.config.dataDir, 'archives'), { recursive: true });
    expect(archives.filter((file) => file.startsWith(`dumps/${running.id}/1/`))).toEqual([]);
    await store(second as TakenRequest, 'an archive');
    await rogue.report(second as TakenRequest, 'Complete: https://s3.example.org/a.zip');
    expect(await poll(path)).toMatchObject({ status: 'successful', attempt: 2 });
  });

  test('where all complete without an archive, the dump fails and says so', async () => {
    const path = await ask();
    for (const attempt of [1, 2, 3]) {
      const [request] = await rogue.take(1);
      expect(request?.headers['attempt']).toBe(String(attempt));
      await rogue.report(request as TakenRequest, 'Complete: https://s3.example.org/a.zip');
      await poll(path);
    }
    expect(await poll(path)).toMatchObject({ status: 'failed', error: { type: '/problems/archive-missing' } });
  });

  test('a size that is not that of the archive is no archive', async () => {
    const path = await ask();
    const [request] = await rogue.take(1);
    await store(request as TakenRequest, 'an archive', { size: 11 });
    await rogue.report(request as TakenRequest, 'Complete: https://s3.example.org/a.zip\nSize: 11');
    expect(await poll(path)).toMatchObject({ status: 'accepted', attempt: 2 });
    await rogue.take(1);
  });

  test('what an event says of size and digest counts for nothing against what is stored', async () => {
    const path = await ask();
    const [request] = await rogue.take(1);
    await store(request as TakenRequest, 'an archive');
    await rogue.report(
      request as TakenRequest,
      `Complete: https://x.example.org/\nSize: 7\nSHA-256: ${'f'.repeat(64)}`,
    );
    const done = await poll(path);
    expect(done.archive).toMatchObject({ size: 10, sha256: digestOf('an archive') });
    expect(done.warnings).toMatchObject([{ code: 'archive-differs', packager: ROGUE }]);
  });

  test('a wrong digest is found out by the miner’s client, which keeps nothing', async () => {
    const path = await ask();
    const [request] = await rogue.take(1);
    await store(request as TakenRequest, 'an archive', { sha256: 'f'.repeat(64) });
    await rogue.report(request as TakenRequest, 'Complete: https://s3.example.org/a.zip');
    const done = await poll(path);
    expect(done).toMatchObject({ status: 'successful', packager: ROGUE });
    await expect(save(done)).rejects.toThrow(/digest|SHA-256/i);
  });

  test('one that answers for somebody else’s dump is not believed, and is seen', async () => {
    const [mine, theirs] = [await ask(), await ask()];
    const [own, other] = (await rogue.take(2)) as [TakenRequest, TakenRequest];
    const { ticket = '', attempt = '' } = own.headers;
    // Another's ticket does not do, even where nobody was heard of yet.
    await rogue.report(other, 'Failed: ha', { ticket });
    expect(await poll(theirs)).toMatchObject({
      status: 'accepted',
      warnings: [{ code: 'ticket-wrong', packager: ROGUE }],
    });
    await rogue.report(other, 'Accepted.', { packager: 'host/1/right' });
    // Nor does none, once the right one was.
    const forged = { 'correlation-id': other.headers['correlation-id'] ?? '', attempt, sequence: '9' };
    await rogue.say(queueOf(theirs), 'Failed: ha', forged);
    await rogue.say(queueOf(theirs), 'Complete: https://evil.example.org/a.zip\nSize: 1', forged);
    await rogue.say(queueOf(theirs), 'Complete: https://evil.example.org/a.zip\nSize: 1');
    // Nor on another queue than that of the docset.
    await rogue.say(queueOf(mine), 'Failed: ha', { ...forged, ticket: other.headers['ticket'] ?? '' });
    expect(await poll(mine)).toMatchObject({ status: 'accepted', warnings: [] });
    const before = await metric('adit_events_refused_total{reason="ticket-wrong"}');
    const told = await poll(theirs);
    expect(told).toMatchObject({ status: 'running', packager: 'host/1/right', error: null });
    expect(told.warnings).toMatchObject([{ code: 'ticket-wrong', count: 3, packager: ROGUE }]);
    expect((await metric('adit_events_refused_total{reason="ticket-wrong"}')) - before).toBe(2);
    expect(server.logged()).toContain(ROGUE);
  });

  test('a miner is told what happened, and not the names of packagers', async () => {
    const miner = server.as(await server.keyOf('Somebody'));
    const path = await ask(miner);
    const [request] = (await rogue.take(1)) as [TakenRequest];
    await rogue.report(request, 'Complete: https://s3.example.org/a.zip');
    const told = await poll(path, miner);
    expect(told.warnings).toMatchObject([
      { code: 'archive-missing', detail: expect.stringContaining('not in the store') },
    ]);
    expect(JSON.stringify(told)).not.toContain('packager":');
    await rogue.take(1);
  });

  test('events out of their order, after the end, and of attempts that nobody asked for, change nothing', async () => {
    const path = await ask();
    const [request] = (await rogue.take(1)) as [TakenRequest];
    await rogue.report(request, 'Progress: 50%', { sequence: '5' });
    await rogue.report(request, 'Progress: 30%', { sequence: '3' });
    await rogue.report(request, 'Accepted.', { sequence: '1' });
    await rogue.report(request, 'Failed: from the future', { attempt: '2', sequence: '6' });
    await rogue.report(request, 'Progress: 99%', { run: '999999999999999', sequence: '7' });
    expect(await poll(path)).toMatchObject({ status: 'running', attempt: 1, progress: 50 });
    await rogue.report(request, 'Failed: no space left', { sequence: '8' });
    const end = await poll(path);
    expect(end).toMatchObject({ status: 'failed', error: { detail: 'no space left' } });
    await rogue.report(request, 'Progress: 60%', { sequence: '9' });
    await rogue.report(request, 'Complete: https://x.example.org/a.zip', { sequence: '10' });
    expect(await poll(path)).toEqual(end);
  });

  test('one that takes ten requests and never answers loses them to one that was given a later one', async () => {
    const paths: string[] = [];
    for (let asked = 0; asked < 10; asked++) paths.push(await ask());
    await rogue.take(10);
    for (const path of paths) await age(await poll(path), '15 minutes', 'published', 'updated', 'created');
    // Nobody has overtaken them: for all that is known they wait behind others.
    expect((await poll(paths[0] ?? '')).attempt).toBe(1);
    honestPackager();
    const last = await ask();
    await age(await pollToEnd(last), '11 minutes', 'taken', 'published');
    for (const path of paths) {
      const done = await pollToEnd(path);
      expect(done).toMatchObject({
        status: 'successful',
        attempt: 2,
        warnings: [{ code: 'request-lost', attempt: 1 }],
      });
    }
  }, 300_000);

  test(`a poll of a queue with ${EVENTS} events reads some of them, and finds the archive all the same`, async () => {
    const path = await ask();
    const queue = queueOf(path);
    const foreign = { 'correlation-id': 'nobodys', attempt: '1', sequence: '1' };
    const kinds: [string, Record<string, string>][] = [
      ['Progress: 1%', foreign],
      ['Complete: https://x.example.org/a.zip', foreign],
      ['Nonsense.', {}],
      ['', {}],
    ];
    for (const [body, headers] of kinds) await rogue.say(queue, body, headers, EVENTS / kinds.length);
    let statements = 0;
    const count = (): void => void (statements += 1);
    server.parts.knex.on('query', count);
    const before = await surroundings.depth(queue);
    const first = await poll(path);
    server.parts.knex.off('query', count);
    expect(first).toMatchObject({ status: 'accepted', stale: true });
    expect(before - (await surroundings.depth(queue))).toBeLessThanOrEqual(EVENTS_OF_A_POLL);
    expect(statements).toBeLessThanOrEqual(STATEMENTS_OF_A_POLL);
    const dead = await surroundings.depth('/queue/docsets/dead');
    // Where the machine is slow, a poll may end by its time before it has read as much.
    await pollUntil(path, 'it is told', ({ warnings }) => warnings.some(({ code }) => code === 'events-flooded'));
    honestPackager();
    const done = await pollToEnd(path);
    expect(done).toMatchObject({ status: 'successful', attempt: 1, stale: false });
    expect((await save(done)).payload).toEqual({ txt: 3 });
    expect(await metric('adit_drain_seconds_count{result="cut"}')).toBeGreaterThan(0);
    // Samples of what cannot be read are kept, and not all of it.
    expect((await surroundings.depth('/queue/docsets/dead')) - dead).toBeLessThanOrEqual(20 * 10);
    // A dump that is over is told without the queue.
    const left = await surroundings.depth(queue);
    await poll(path);
    expect(await surroundings.depth(queue)).toBe(left);
  }, 600_000);

  // The embedded database goes with its api-server.
  const onServers = name === 'real' ? test : undefined;
  onServers?.(
    'a database that goes away in the middle of a drain loses nothing',
    async () => {
      const { postgresql } = surroundings;
      if (postgresql === undefined) throw new Error('there is no PostgreSQL');
      const path = await ask();
      const [request] = (await rogue.take(1)) as [TakenRequest];
      await rogue.report(request, 'Accepted.');
      for (let percent = 1; percent <= 99; percent++) await rogue.report(request, `Progress: ${percent}%`);
      await store(request, 'an archive');
      await rogue.report(request, 'Complete: https://s3.example.org/a.zip');
      let killed: Promise<void> | undefined;
      const onQuery = ({ sql }: { sql: string }): void => {
        if (sql.includes('update "dumps"')) killed ??= postgresql.kill();
      };
      server.parts.knex.on('query', onQuery);
      const lost = await admin.get(path);
      server.parts.knex.off('query', onQuery);
      expect(lost).toMatchObject({ status: 503, body: { type: '/problems/database-unavailable' } });
      await killed;
      await postgresql.restart();
      const done = await pollUntil(path, 'the database is back', ({ status }) => status === 'successful');
      expect(done).toMatchObject({ attempt: 1, warnings: [], archive: { size: 10 } });
    },
    300_000,
  );

  describe('a request that kills every packager', () => {
    let compiled: CompiledPackager;
    beforeAll(async () => {
      compiled = await compilePackager();
      await writeFile(join(compiled.folder, 'main.js'), MAIN);
    }, 180_000);
    afterAll(() => compiled.remove());

    /** Starts a packager that stops in the middle of a job for as long as the line to the documents is stalled. */
    async function startMortal(
      line: TcpProxy,
    ): Promise<{ said: () => string; ended: () => boolean; close(): Promise<void> }> {
      const child: ChildProcess = spawn(process.execPath, [join(compiled.folder, 'main.js')], {
        env: {
          PATH: process.env['PATH'] ?? '',
          BROKER_URL: surroundings.brokerUrl('packager'),
          API_URL: `http://127.0.0.1:${line.port}`,
          PACKAGER_KEY,
          DATA_DIR: server.parts.config.dataDir,
          PACKAGER_NAME: 'mortal',
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let text = '';
      const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
      child.stdout?.on('data', (chunk: Buffer) => {
        text += chunk.toString();
      });
      await waitUntil('the packager consumes', () => text.includes('consuming'), PATIENT);
      return {
        said: () => text,
        ended: () => child.exitCode !== null || child.signalCode !== null,
        async close() {
          child.kill('SIGKILL');
          await exited;
        },
      };
    }

    test('is put aside once three have died of it, and its client is told', async () => {
      const line = later(await startTcpProxy(Number(new URL(server.url).port)));
      line.stall();
      const dead = await surroundings.depth('/queue/docsets/dead');
      const path = await ask();
      for (let death = 1; death <= 3; death++) {
        const before = line.connections();
        const packager = later(await startMortal(line));
        await waitUntil('it was heard of', async () => (await poll(path)).packager?.startsWith('mortal/'), PATIENT);
        await waitUntil('it asks for the documents', () => line.connections() > before, PATIENT);
        expect(await marks()).toHaveLength(death - 1);
        await packager.close();
      }
      const survivor = later(await startMortal(line));
      const end = await pollToEnd(path);
      expect(end).toMatchObject({ status: 'failed', error: { type: '/problems/packager-killed' } });
      await waitUntil('it is put aside', async () => (await surroundings.depth('/queue/docsets/dead')) === dead + 1);
      expect(survivor.said()).toContain('the request was put aside');
      expect(await marks()).toEqual([]);
      // And it goes on with the next.
      line.resume();
      expect(await pollToEnd(await ask())).toMatchObject({ status: 'successful' });
      expect(survivor.ended()).toBe(false);
    }, 300_000);

    async function marks(): Promise<string[]> {
      const archives = join(server.parts.config.dataDir, 'archives');
      const found = await readdir(archives, { recursive: true }).catch(() => []);
      return found.filter((file) => file.includes('started-'));
    }
  });
}

const digestOf = (content: string): string => createHash('sha256').update(content).digest('hex');

describe('rogue packagers, with everything embedded', () => {
  roguePackagers('embedded', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'adit-rogue-'));
    const broker = await startEmbeddedBroker({ folder, port: 0 });
    return {
      brokerUrl: () => broker.url,
      depth: (queue) => {
        const found = broker.statistics().queues.find(({ name }) => name === queue);
        return Promise.resolve((found?.depth ?? 0) + (found?.unacknowledged ?? 0));
      },
      async close() {
        await broker.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
});

describeOn(['activemq', 'postgresql'], 'rogue packagers, on ActiveMQ and PostgreSQL', () => {
  roguePackagers('real', async () => {
    const [activemq, postgresql] = await Promise.all([startActiveMQ(), startPostgreSQL()]);
    return {
      brokerUrl: (account) => activemq.url(account),
      depth: async (queue) => (await activemq.queue(queue))?.size ?? 0,
      postgresql,
      async close() {
        await Promise.all([activemq.close(), postgresql.close()]);
      },
    };
  });
});
