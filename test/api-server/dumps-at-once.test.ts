/** What polls and kick-offs do to each other when they come at the same time, on a real database and a real broker. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { createFolderArchiveLinks } from '../../api-server/dumps/archive-links/folder-archive-links.js';
import type { Dump } from '../../api-server/dumps/dump.js';
import { createDumpMetrics } from '../../api-server/dumps/dump-metrics.js';
import type { DumpParts } from '../../api-server/dumps/dump-parts.js';
import { createDumpStore } from '../../api-server/dumps/dump-store.js';
import { dismissDump } from '../../api-server/dumps/dismiss-dump.js';
import { pollDump } from '../../api-server/dumps/poll-dump.js';
import { requestDump, type DumpRequest } from '../../api-server/dumps/request-dump.js';
import { openDatabase, type Database } from '../../api-server/db/open-database.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { eventMessage, eventsOf, openBroker, type EventContent, PACKAGE_REQUESTS } from '../../queue-config/index.js';
import { copyMigratedFolder } from './migrated-folder.js';

const LEASE = 60_000;

describe('a dump', () => {
  let folder: string;
  let database: Database;
  let server: EmbeddedBroker;
  let parts: DumpParts;
  let docset: DumpRequest['docset'];
  let request: DumpRequest;
  /** What happens while a poll looks into the archive store. */
  let meanwhile: () => Promise<unknown>;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
    await copyMigratedFolder(folder);
    database = await openDatabase({ databaseUrl: undefined, dataDir: folder });
    server = await startEmbeddedBroker({ folder: join(folder, 'broker'), port: 0 });
    meanwhile = () => Promise.resolve();
    const { knex } = database;
    await knex('collections').insert({ id: 'texts', name: 'Texts', language: 'english', schema: '{}' });
    const [row] = await knex('docsets')
      .insert({ owner: '1', collection_id: 'texts', generator: '', members: 10 })
      .returning<{ id: string }[]>('id');
    docset = { id: row?.id ?? '', revision: 1, members: 10 };
    request = { docset, formats: ['txt'], container: 'zip', since: null, newest: undefined, force: false };
    const links = createFolderArchiveLinks(join(folder, 'archives'), 'a secret of this test');
    parts = {
      store: createDumpStore(knex),
      broker: openBroker({ urls: server.url }),
      links: {
        ...links,
        async readText(key) {
          await meanwhile();
          return links.readText(key);
        },
      },
      log: pino({ level: 'silent' }),
      metrics: createDumpMetrics(new Registry()),
      terms: {
        dumpLease: LEASE,
        packagingLimit: 600_000,
        requestTtl: 600_000,
        archiveTtl: 60_000,
        largeDocset: 100,
        foreignPackagers: true,
      },
      publicUrl: 'http://localhost:3000',
    };
  });
  afterEach(async () => {
    await parts.broker.close();
    await server.stop();
    await database.close();
    await rm(folder, { recursive: true, force: true });
  });

  const say = (dump: Dump, event: EventContent, sequence: number): Promise<void> =>
    parts.broker.publish(
      eventMessage(eventsOf(docset.id), { ...event, dump: dump.id, attempt: dump.attempt, run: 1_000, sequence }),
    );
  const rowOf = async (dump: Dump): Promise<Dump | undefined> => parts.store.byId(dump.id);
  const depthOf = (queue: string): number => server.statistics().queues.find(({ name }) => name === queue)?.depth ?? 0;
  /** A dump that a packager took, and of which nothing was heard for longer than its lease. */
  const silentDump = async (attempt: number): Promise<Dump> => {
    const { dump } = await requestDump(parts, request);
    const updated = new Date(Date.now() - 2 * LEASE);
    await database.knex('dumps').where('id', dump.id).update({ status: 'running', attempt, updated });
    return (await rowOf(dump)) ?? dump;
  };

  test('that is silent is asked for twice more, then it has failed and its storage is freed', async () => {
    let dump = await silentDump(1);
    for (const attempt of [2, 3]) {
      dump = (await pollDump(parts, dump)).dump;
      expect(dump).toMatchObject({ attempt, outcome: { status: 'accepted' } });
      expect(dump.published).not.toBeNull();
      const updated = new Date(Date.now() - 2 * LEASE);
      await database.knex('dumps').where('id', dump.id).update({ status: 'running', updated });
      dump = (await rowOf(dump)) ?? dump;
    }
    expect(depthOf('/queue/docsets/package')).toBe(3);
    const end = await pollDump(parts, dump);
    expect(end.dump.outcome).toMatchObject({ status: 'failed', error: { code: 'packager-lost' } });
    expect(depthOf('/queue/docsets/delete')).toBe(1);
  });

  test('is not given up by a poll when another one has just heard of it', async () => {
    const dump = await silentDump(3);
    meanwhile = async () => {
      meanwhile = () => Promise.resolve();
      await say(dump, { type: 'Progress', percent: 95 }, 7);
      await pollDump(parts, dump);
    };
    expect((await pollDump(parts, dump)).dump).toMatchObject({ progress: 95, outcome: { status: 'running' } });
    expect(depthOf('/queue/docsets/delete')).toBe(0);
  });

  describe('looked up, and then polled', () => {
    /** As a request begins: the dump with the version of its row. */
    const lookUp = async (): Promise<Dump> => {
      const [row] = await parts.store.lookUp(docset.id, {});
      const dump = row && parts.store.foundBy(row);
      if (dump === undefined) throw new Error('there is no dump');
      return dump;
    };

    /** What a poll asks of the database, by how each statement begins. */
    const askedBy = async (poll: () => Promise<unknown>): Promise<string[]> => {
      const asked: string[] = [];
      const listen = ({ sql }: { sql: string }): unknown => asked.push(sql.slice(0, 6));
      database.knex.on('query', listen);
      await poll();
      database.knex.off('query', listen);
      return asked;
    };

    test('takes its news without being read again', async () => {
      const { dump } = await requestDump(parts, request);
      await say(dump, { type: 'Accepted' }, 1);
      const known = await lookUp();
      const asked = await askedBy(async () =>
        expect((await pollDump(parts, known)).dump.outcome.status).toBe('running'),
      );
      expect(asked).toEqual(['with "']);
      expect((await rowOf(dump))?.outcome.status).toBe('running');
    });

    test('is told without being read again where nothing was waiting', async () => {
      await requestDump(parts, request);
      const known = await lookUp();
      expect(await askedBy(async () => expect((await pollDump(parts, known)).dump).toEqual(known))).toEqual([]);
    });

    test('keeps what somebody else has written meanwhile', async () => {
      const { dump } = await requestDump(parts, request);
      await say(dump, { type: 'Accepted' }, 1);
      const known = await lookUp();
      await pollDump(parts, known);
      await say(dump, { type: 'Progress', percent: 40 }, 2);
      // As it was before it was taken.
      const polled = await pollDump(parts, known);
      expect(polled.dump).toMatchObject({ progress: 40, outcome: { status: 'running' } });
      expect(polled.dump.taken).not.toBeNull();
      expect(await rowOf(dump)).toEqual(polled.dump);
    });

    test('is told as another poll has left it, where this one has only news that is refused', async () => {
      const { dump } = await requestDump(parts, request);
      const known = await lookUp();
      await say(dump, { type: 'Progress', percent: 30 }, 2);
      await pollDump(parts, known);
      await say(dump, { type: 'Accepted' }, 1);
      expect((await pollDump(parts, known)).dump).toMatchObject({ progress: 30, outcome: { status: 'running' } });
    });

    test('is told as another poll has left it, where it was silent', async () => {
      const known = await silentDump(1);
      await database.knex('dumps').where('id', known.id).update({ progress: 30, updated: new Date() });
      expect((await pollDump(parts, known)).dump).toMatchObject({ attempt: 1, progress: 30 });
    });

    test('hears also of one that was made meanwhile', async () => {
      const { dump: zip } = await requestDump(parts, request);
      const known = await lookUp();
      const { dump: tar } = await requestDump(parts, { ...request, container: 'tar.gz' });
      await say(zip, { type: 'Accepted' }, 1);
      await say(tar, { type: 'Accepted' }, 1);
      await pollDump(parts, known);
      expect([(await rowOf(zip))?.outcome.status, (await rowOf(tar))?.outcome.status]).toEqual(['running', 'running']);
    });

    test('stays over where it was ended meanwhile', async () => {
      const { dump } = await requestDump(parts, request);
      await say(dump, { type: 'Accepted' }, 1);
      const known = await lookUp();
      await dismissDump(parts, dump);
      expect((await pollDump(parts, known)).dump.outcome.status).toBe('dismissed');
    });
  });

  test('that has failed for one poll is not freed twice by another', async () => {
    const dump = await silentDump(3);
    meanwhile = async () => {
      meanwhile = () => Promise.resolve();
      await say(dump, { type: 'Failed', detail: 'no space left', code: 'storage-unavailable' }, 8);
      await pollDump(parts, dump);
    };
    expect((await pollDump(parts, dump)).dump.outcome).toMatchObject({ error: { code: 'storage-unavailable' } });
    expect(depthOf('/queue/docsets/delete')).toBe(0);
  });

  test('asked for by ten at once is one dump', async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, () => requestDump(parts, request)));
    expect(new Set(answers.map(({ dump }) => dump.id)).size).toBe(1);
    expect(await parts.store.ofDocset(docset.id)).toHaveLength(1);
  });

  test('that was taken back while its request was on the way is not said to be accepted', async () => {
    const { broker } = parts;
    parts = {
      ...parts,
      broker: {
        ...broker,
        async publish(message) {
          await broker.publish(message);
          await database.knex('dumps').delete();
        },
      },
    };
    await expect(requestDump(parts, request)).rejects.toMatchObject({ slug: 'broker-unavailable' });
    expect(await parts.store.ofDocset(docset.id)).toEqual([]);
  });

  test('of a large docset waits in a queue of its own', async () => {
    await requestDump(parts, { ...request, docset: { ...docset, members: 100 } });
    expect([depthOf('/queue/docsets/package'), depthOf('/queue/docsets/package/large')]).toEqual([1, 0]);
    await requestDump(parts, { ...request, docset: { ...docset, members: 101 }, force: true });
    expect([depthOf('/queue/docsets/package'), depthOf('/queue/docsets/package/large')]).toEqual([1, 1]);
  });

  test('in another container is another dump, and leaves the first alone', async () => {
    const zip = await requestDump(parts, request);
    const tar = await requestDump(parts, { ...request, container: 'tar.gz' });
    expect(tar.dump.id).not.toBe(zip.dump.id);
    expect((await rowOf(zip.dump))?.outcome.status).toBe('accepted');
    const newest = await parts.store.newest(docset.id, { container: 'tar.gz' });
    expect((await requestDump(parts, { ...request, container: 'tar.gz', newest })).dump.id).toBe(tar.dump.id);
    expect((await parts.store.newest(docset.id))?.container).toBe('tar.gz');
    const bodies: string[] = [];
    await parts.broker.drain(PACKAGE_REQUESTS, (messages) => {
      bodies.push(...messages.map(({ body }) => body));
      return Promise.resolve();
    });
    expect(bodies).toEqual([expect.stringMatching(/\?fmt=txt$/), expect.stringMatching(/\?fmt=txt&archive=tar\.gz$/)]);
  });

  test('whose time would be before that of the one it follows comes after it all the same', async () => {
    const first = await requestDump(parts, request);
    // Inserted by a server whose clock is ahead.
    await database.knex('dumps').update({ created: new Date(Date.now() + 60_000) });
    const second = await requestDump(parts, { ...request, force: true });
    expect(second.dump.id).not.toBe(first.dump.id);
    expect((await parts.store.newest(docset.id))?.id).toBe(second.dump.id);
  });

  test('replaces the earlier ones of its formats, whose storage is freed', async () => {
    const first = await requestDump(parts, request);
    const second = await requestDump(parts, { ...request, force: true });
    expect(second.dump.id).not.toBe(first.dump.id);
    expect((await rowOf(first.dump))?.outcome.status).toBe('dismissed');
    expect(depthOf('/queue/docsets/delete')).toBe(1);
    await requestDump(parts, { ...request, docset: { ...docset, revision: 2 } });
    expect((await rowOf(second.dump))?.outcome.status).toBe('dismissed');
    expect(depthOf('/queue/docsets/delete')).toBe(2);
  });
});
