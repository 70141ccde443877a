/** What goes wrong with the source or the store, and what the miner is told of it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { ListObjectsV2Command } from '@aws-sdk/client-s3';
import { afterEach, describe, expect, test } from '@jest/globals';
import { describeOn, startRadosgw, startTcpProxy, waitUntil } from '../servers/index.js';
import {
  problem,
  sha256,
  startDocsetServer,
  type DocsetServer,
  type Fault,
  type TestDocument,
} from './docset-server.js';
import { filesUnder, openStage, type Stage } from './packager-stage.js';
import { readBag, textOf } from './read-bag.js';

const documents = (count: number): TestDocument[] =>
  Array.from({ length: count }, (_, index) => ({
    ref: `doc-${String(index).padStart(4, '0')}`,
    files: { txt: { content: `text of ${index}` } },
  }));

let server: DocsetServer;
let stage: Stage;

async function begin(list: TestDocument[], fault?: Fault): Promise<void> {
  server = await startDocsetServer(list);
  server.setFault(fault);
  stage = await openStage(server.url);
}
afterEach(async () => {
  await stage.close();
  await server.close();
});

/** The request is acknowledged, and nothing is left of its job. */
async function expectNothingLeft(): Promise<void> {
  await expectAcknowledged();
  expect(await filesUnder(stage.archives)).toEqual([]);
}
const expectAcknowledged = (): Promise<boolean> =>
  waitUntil('the request is acknowledged', () => stage.requests() === 0);

describe('a file that cannot be had', () => {
  test('is left out with its reason, and requested = packed + omitted', async () => {
    const list = documents(9);
    const listed = { sha256: sha256('something else') };
    list[1] = { ref: 'doc-0001', files: {} };
    list[2] = { ref: 'doc-0002', files: { txt: { content: 'abc', listed } } };
    list[3] = { ref: 'doc-0003', files: { txt: { content: 'abc', listed: { size: 2 } } } };
    list[4] = { ref: 'doc-0004', files: { txt: { content: 'abc', listed: { size: 4 } } } };
    // Bytes that never come are waited for until the job stalls; here they come at the third try.
    let tries = 0;
    const fault: Fault = (_request, response, { pathname }) => {
      if (pathname.includes('doc-0005')) problem(response, 404, 'not-found');
      else if (pathname.includes('doc-0006')) problem(response, 500, 'bytes-unreadable');
      else if (pathname.includes('doc-0007') && ++tries < 3) response.destroy();
      else return false;
      return true;
    };
    await begin(list, fault);
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    const last = (await stage.eventsUntil('Complete')).at(-1);
    expect(last).toMatchObject({ documents: 3, omitted: 6 });
    const bag = await readBag(await stage.readArchive(last));
    expect(textOf(bag, 'omitted.csv').split('\n')).toEqual([
      'ref,format,reason',
      'doc-0001,txt,missing',
      'doc-0002,txt,corrupt',
      'doc-0003,txt,corrupt',
      'doc-0004,txt,corrupt',
      'doc-0005,txt,missing',
      'doc-0006,txt,unreadable',
      '',
    ]);
    expect(bag.files.get('data/doc-0007.txt')?.toString()).toBe('text of 7');
    expect(server.requests.filter((request) => request.includes('doc-0002'))).toHaveLength(2);
  });

  test('a file in a content coding that was not asked for is not taken for its content', async () => {
    const asked = new Set<string | undefined>();
    await begin(documents(3), (request, response, { pathname }) => {
      if (!pathname.includes('doc-0001')) return false;
      asked.add(request.headers['accept-encoding']?.toString());
      response.writeHead(200, { 'Content-Encoding': 'gzip', 'Content-Type': 'text/plain' });
      response.end(gzipSync('text of 1'));
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    const last = (await stage.eventsUntil('Complete')).at(-1);
    expect(last).toMatchObject({ documents: 2, omitted: 1 });
    expect(textOf(await readBag(await stage.readArchive(last)), 'omitted.csv')).toContain('doc-0001,txt,unreadable');
    expect([...asked]).toEqual(['identity']);
  });

  test('a body that breaks off is asked for again', async () => {
    let tries = 0;
    await begin(documents(3), (_request, response, { pathname }) => {
      if (!pathname.includes('doc-0001') || ++tries > 2) return false;
      response.writeHead(200, { 'Content-Length': 9 });
      response.write('text');
      setImmediate(() => response.destroy());
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ documents: 3, omitted: 0 });
  });
});

describe('a server that is busy', () => {
  test('is asked again when it said that it would be ready', async () => {
    const asked: number[] = [];
    await begin(documents(1), (_request, response) => {
      asked.push(Date.now());
      if (asked.length > 1) return false;
      problem(response, 503, 'busy', { 'Retry-After': '1' });
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ documents: 1 });
    expect((asked[1] ?? 0) - (asked[0] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test('that says nothing for the stall timeout is given up', async () => {
    await begin(documents(1), (_request, _response, { pathname }) => pathname.includes('doc-0000'));
    await stage.start({ STALL_TIMEOUT: '1s' });
    await stage.request(server.docsetUrl('txt'), 'd1');
    const last = (await stage.eventsUntil('Failed')).at(-1);
    expect(last).toMatchObject({ code: 'packager-stalled', detail: expect.stringContaining('1 seconds') });
    await expectNothingLeft();
  });
});

describe('the listing', () => {
  test('that breaks off is read on from where it broke', async () => {
    let tries = 0;
    await begin(documents(3000), async (_request, response, { pathname }) => {
      if (!pathname.startsWith('/api/docsets') || ++tries > 3) return false;
      const answer = await fetch(`${server.url}${pathname}?fmt=txt`, { headers: { 'X-API-Key': server.key } });
      const text = await answer.text();
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
      response.write(text.slice(0, (text.length / 4) * (tries / 2)));
      setImmediate(() => response.destroy());
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Complete')).at(-1)).toMatchObject({ documents: 3000, omitted: 0 });
  });

  test('without its last line is incomplete, whatever the status said', async () => {
    await begin(documents(3), (_request, response) => {
      response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
      response.end(
        `${JSON.stringify({ docset: { id: '5', members: 3 } })}\n${JSON.stringify({ ref: 'a', files: {} })}\n`,
      );
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    const last = (await stage.eventsUntil('Failed')).at(-1);
    expect(last).toMatchObject({ code: 'listing-incomplete', detail: expect.stringContaining('1 of 3 members') });
    await expectNothingLeft();
  });

  test('of no members is a failure that says so', async () => {
    await begin([]);
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({ code: 'no-members' });
  });
});

describe('a dump that nobody wants any more', () => {
  test.each([
    [
      'says 410 dump-gone to the listing',
      (pathname: string) => (pathname.startsWith('/api/docsets') ? 410 : undefined),
    ],
    ['says 410 dump-gone to a document', (pathname: string) => (pathname.includes('doc-0007') ? 410 : undefined)],
    ['knows no such docset', (pathname: string) => (pathname.startsWith('/api/docsets') ? 404 : undefined)],
  ])('ends without a word where the server %s', async (_title, statusOf) => {
    await begin(documents(20), (_request, response, { pathname }) => {
      const status = statusOf(pathname);
      if (status === undefined) return false;
      problem(response, status, status === 410 ? 'dump-gone' : 'docset-not-found');
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    const events = await stage.eventsUntil('Accepted');
    await expectNothingLeft();
    // A second dump is served behind it: whatever the first had to say would have come before.
    server.setFault(undefined);
    await stage.request(server.docsetUrl('txt'), 'd2');
    events.push(...(await stage.eventsUntil('Complete')));
    // A machine that is slow hears of progress too.
    const said = events.filter(({ dump, type }) => dump === 'd1' && type !== 'Progress');
    expect(said.map(({ type }) => type)).toEqual(['Accepted']);
  });

  test('is told apart from an address at which nothing is', async () => {
    await begin(documents(1), (_request, response) => {
      problem(response, 404, 'path-unknown');
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({ dump: 'd1', code: 'source-refused' });
  });

  test('that is dismissed while its archive is read back leaves no archive and no manifest', async () => {
    let listings = 0;
    await begin(documents(3), (_request, response, { pathname }) => {
      if (!pathname.startsWith('/api/docsets') || ++listings === 1) return false;
      problem(response, 410, 'dump-gone');
      return true;
    });
    await stage.start();
    await stage.request(server.docsetUrl('txt'), 'd1');
    await stage.eventsUntil('Accepted');
    await waitUntil('asked again', () => listings === 2);
    await expectNothingLeft();
  });
});

describe("the packager's key", () => {
  test('that is refused fails the job', async () => {
    await begin(documents(1));
    await stage.start({ PACKAGER_KEY: 'a-wrong-key-of-a-packager' });
    await stage.request(server.docsetUrl('txt'), 'd1');
    expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({ code: 'source-refused' });
  });

  test('goes to no foreign host, whether a request, a listing or a redirect names it', async () => {
    const asked: string[] = [];
    const foreign = createServer((request, response) => {
      asked.push(request.url ?? '');
      response.end();
    });
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve));
    const foreignUrl = `http://127.0.0.1:${(foreign.address() as AddressInfo).port}`;
    const answers: Record<string, Fault> = {
      request: () => false,
      listing: (_request, response) => {
        const file = { href: `${foreignUrl}/bytes`, size: 1, sha256: sha256('a') };
        response.writeHead(200, { 'Content-Type': 'application/x-ndjson' });
        response.end(
          `{"docset":{"id":"5","members":1}}\n${JSON.stringify({ ref: 'a', files: { txt: file } })}\n{"end":true,"members":1}\n`,
        );
        return true;
      },
      redirect: (_request, response) => {
        response.writeHead(302, { Location: `${foreignUrl}/listing` }).end();
        return true;
      },
    };
    await begin(documents(1));
    await stage.start();
    // A dump that the server knows is packed from the server, whatever its public address.
    const ends = { request: 'Complete', listing: 'Complete', redirect: 'Failed' } as const;
    for (const [place, end] of Object.entries(ends)) {
      server.setFault(answers[place]);
      await stage.request(
        place === 'request' ? `${foreignUrl}/api/docsets/5?fmt=txt` : server.docsetUrl('txt'),
        `d-${place}`,
      );
      expect((await stage.eventsUntil(end)).at(-1)).toMatchObject({ dump: `d-${place}` });
    }
    // A request that names no dump could mean another server's docset.
    await stage.sendBare(`${foreignUrl}/api/docsets/5?fmt=txt`);
    expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({ code: 'source-refused' });
    expect(asked).toEqual([]);
    await new Promise((resolve) => foreign.close(resolve));
  });
});

test('a store that cannot be written to fails the job and says no more of itself', async () => {
  await begin(documents(1));
  await writeFile(stage.archives, 'a file where the folder should be');
  await stage.start();
  await stage.request(server.docsetUrl('txt'), 'd1');
  expect((await stage.eventsUntil('Failed')).at(-1)).toMatchObject({
    code: 'storage-unavailable',
    detail: 'The archive could not be stored.',
  });
});

describeOn('radosgw', 'a store whose answer to the manifest is lost', () => {
  test('has the manifest all the same, and the archive that it names', async () => {
    await begin(documents(3));
    const gateway = await startRadosgw();
    const proxy = await startTcpProxy(gateway.port);
    const bucket = await gateway.createBucket();
    const client = gateway.client();
    try {
      await stage.start({
        ...gateway.environment,
        S3_ENDPOINT: `http://127.0.0.1:${proxy.port}`,
        S3_BUCKET: bucket,
      });
      proxy.cutAnswerTo(`${bucket}/dumps/d1/1/manifest.json?x-id=PutObject`);
      await stage.request(server.docsetUrl('txt'), 'd1');
      const end = (await stage.eventsUntil('Complete')).at(-1);
      expect(proxy.answersCut()).toBe(1);
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket }));
      const keys = Contents.map(({ Key }) => Key);
      expect(keys).toEqual(['dumps/d1/1/manifest.json', expect.stringMatching(/^dumps\/d1\/1\/.+\.zip$/)]);
      expect(end).toMatchObject({ url: `http://127.0.0.1:${proxy.port}/${bucket}/${keys[1]}` });
    } finally {
      client.destroy();
      await stage.close();
      await proxy.close();
      await gateway.close();
    }
  }, 120_000);
});
