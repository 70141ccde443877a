/** A packager that somebody else wrote: the bare messages only, over a STOMP client of another make. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import stompit, { type Client, type Message } from 'stompit';
import { ingest, makeKey, makeMiner, makeService, someDocuments, type Service } from '../service.js';
import type { Stage } from '../stage.js';

const RESULT = 'https://foobar.s3.aws.com/package/5';

export function foreignPackager(stage: () => Stage): void {
  describe('a packager of another make', () => {
    let service: Service;
    let client: Client;
    beforeEach(async () => {
      service = await makeService(stage());
      client = await connect(stage());
    });
    afterEach(async () => {
      await new Promise<void>((resolve) => client.disconnect(() => resolve()));
      await service.close();
    });

    /** A dump is asked for, and its request is in the hands of the packager. */
    async function takeRequest() {
      const { url } = await service.apiServer();
      await ingest(url, await makeKey(service, 'admin'), 'texts', someDocuments(3));
      const miner = makeMiner(url, await makeKey(service));
      const docset = await miner.docset('texts');
      const queue = `/queue/package/${String(docset.split('/').at(-1))}`;
      const request = nextRequest(client);
      expect((await miner.post(`${docset}/dump?fmt=txt`)).status).toBe(202);
      return { url, miner, docset, queue, ...(await request) };
    }

    test('that reads the body and says Accepted and Complete makes a dump', async () => {
      const { url, miner, docset, body, message } = await takeRequest();
      expect(body.trim()).toBe(`${url}${docset}?fmt=txt`);
      // As the first Adit's packager found out where to answer.
      const id = String(new URL(body.trim()).pathname.split('/').at(-1));
      await send(client, `/queue/package/${id}`, 'Accepted. 45 seconds');
      const running = await miner.get(`${docset}/dump`);
      expect(running).toMatchObject({ status: 202, body: { status: 'running', stale: false } });
      expect(running.headers.get('retry-after')).toBe('30');
      await send(client, `/queue/package/${id}`, `Complete: ${RESULT}\nSize: 345345`);
      client.ack(message);
      const done = await miner.get(`${docset}/dump`);
      expect(done).toMatchObject({
        status: 200,
        body: { status: 'successful', archive: { size: 345345, sha256: null }, counts: { requested: 3, packed: 3 } },
      });
      const archive = await miner.get(`${docset}/dump/archive`);
      expect([archive.status, archive.headers.get('location')]).toEqual([303, RESULT]);
    });

    test('whose dump was cancelled is not taken for the one of another dump', async () => {
      const { miner, docset, queue, message } = await takeRequest();
      await send(client, queue, 'Accepted.');
      expect((await miner.get(`${docset}/dump`)).body.status).toBe('running');
      await miner.delete(`${docset}/dump?fmt=txt`);
      await miner.post(`${docset}/dump?fmt=meta`);
      await send(client, queue, `Complete: ${RESULT}\nSize: 1`);
      client.ack(message);
      expect((await miner.get(`${docset}/dump?fmt=meta`)).body.status).toBe('accepted');
    });

    test('that talks nonsense blocks nothing: the rest is read, and the nonsense is put aside with the reason', async () => {
      const { url, miner, docset, queue, message } = await takeRequest();
      const dead = (await stage().broker.queue('/queue/docsets/dead'))?.size ?? 0;
      await send(client, queue, 'Accepted.');
      await send(client, queue, '');
      await send(client, queue, 'Progress: rather well');
      await send(client, queue, 'Failed: bad\u0007thing');
      await send(client, queue, 'Singing: in the rain');
      await send(client, queue, 'Complete: javascript:alert(1)\nSize: 1');
      await send(client, queue, 'Failed: no space left\nCode: storage-unavailable');
      client.ack(message);
      expect(await miner.get(`${docset}/dump`)).toMatchObject({
        status: 200,
        body: {
          status: 'failed',
          done: true,
          error: { type: '/problems/storage-unavailable', detail: 'no space left' },
        },
      });
      expect((await stage().broker.queue('/queue/docsets/dead'))?.size).toBe(dead + 4);
      expect(await (await fetch(`${url}/metrics`)).text()).toContain('adit_events_unreadable_total 4');
    });
  });
}

function connect(stage: Stage): Promise<Client> {
  const { username, password, hostname, port } = new URL(stage.broker.url('packager'));
  const connectHeaders = { host: '/', login: username, passcode: password, 'heart-beat': '0,0' };
  return new Promise((resolve, reject) => {
    stompit.connect({ host: hostname, port: Number(port), connectHeaders }, (error, client) => {
      if (error) {
        reject(error);
        return;
      }
      client.on('error', () => undefined);
      resolve(client);
    });
  });
}

/** The next package request that comes. */
function nextRequest(client: Client): Promise<{ body: string; message: Message }> {
  return new Promise((resolve, reject) => {
    const headers = { destination: '/queue/docsets/package', ack: 'client-individual' };
    client.subscribe(headers, (error, message) => {
      if (error) {
        reject(error);
        return;
      }
      message.readString('utf8', (failure, body) => {
        if (failure) reject(failure);
        else resolve({ body, message });
      });
    });
  });
}

function send(client: Client, destination: string, body: string): Promise<void> {
  return new Promise((resolve) => client.send({ destination }, { onReceipt: resolve }).end(body));
}
