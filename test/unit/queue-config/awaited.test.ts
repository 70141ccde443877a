/** What ends a wait for an answer: the answer, its deadline, or the end of the connection. On a real broker. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { awaited } from '../../../queue-config/awaited.js';
import { parseBrokerUrls } from '../../../queue-config/broker-url.js';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../../queue-config/embedded-broker/index.js';
import { eventsOf } from '../../../queue-config/index.js';
import { connect, type StompConnection } from '../../../queue-config/stomp-connection.js';

let folder: string;
let broker: EmbeddedBroker;
let connection: StompConnection;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'adit-test-'));
  broker = await startEmbeddedBroker({ folder, port: 0 });
});
beforeEach(async () => {
  const [address] = parseBrokerUrls(broker.url);
  if (address === undefined) throw new Error('the broker has no address');
  connection = await connect(address, { connectTimeoutMs: 5_000, receiptTimeoutMs: 5_000, heartbeatMs: 10_000 });
});
afterEach(() => connection.close().catch(() => undefined));
afterAll(async () => {
  await broker.stop();
  await rm(folder, { recursive: true, force: true });
});

const tooLate = (): Error => new Error('too late');
const queue = eventsOf('awaited');
const say = (text: string): void => connection.sendUnconfirmed(queue, { expires: String(Date.now() + 60_000) }, text);

test('it is what the messages make it', async () => {
  const heard = awaited<string>(connection, { ms: 5_000, tooLate }, (resolve, reject) => {
    const subscription = connection.subscribe(queue, { ack: 'auto' }, ({ body }) => resolve(body));
    subscription.confirmed.catch(reject);
    say('an answer');
  });
  expect(await heard).toBe('an answer');
});

test('it is too late when nothing came', async () => {
  await expect(awaited(connection, { ms: 50, tooLate }, () => undefined)).rejects.toThrow('too late');
  expect(connection.lost.aborted).toBe(false);
});

test('each part of an answer begins the wait anew', async () => {
  const parts: string[] = [];
  const heard = awaited(connection, { ms: 2_000, tooLate }, (resolve, reject, heard) => {
    const subscription = connection.subscribe(queue, { ack: 'auto' }, ({ body }) => {
      heard();
      if (parts.push(body) === 4) resolve();
    });
    subscription.confirmed.catch(reject);
  });
  for (const part of ['1', '2', '3', '4']) {
    await sleep(700);
    say(part);
  }
  await heard;
  expect(parts).toEqual(['1', '2', '3', '4']);
});

test('it ends with the connection, also with one that is gone already', async () => {
  const waiting = awaited(connection, { ms: 60_000, tooLate }, () => undefined);
  connection.drop(new Error('cut'));
  await expect(waiting).rejects.toThrow('cut');
  await expect(awaited(connection, { ms: 60_000, tooLate }, () => undefined)).rejects.toThrow('cut');
});
