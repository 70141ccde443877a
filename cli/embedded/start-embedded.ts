/**
 * The embedded service: a broker in this process, an api-server and a packager in processes of their own. What the
 * environment names instead (BROKER_URL, DATABASE_URL, S3_BUCKET) is used as it is.
 */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { openDatabase } from '../../api-server/db/open-database.js';
import { createMiner, listKeys, revokeKey } from '../../api-server/miners/miners.js';
import { startEmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { ingestSample } from '../sample/ingest-sample.js';
import type { Stoppable } from '../stop-signals.js';
import { startChild } from './child.js';
import { readOrMakeSecrets } from './secrets.js';

export interface EmbeddedOptions {
  dataDir: string;
  /** 0: any free one. */
  port: number;
  /** The whole environment of the parts, but for what is set for them here. */
  env: Readonly<Record<string, string | undefined>>;
  /** Path of the `adit` command. */
  main: string;
  /** Told what happens, in sentences for a person. */
  tell: (sentence: string) => void;
  /** Aborted: it is not wanted any more. What has started all the same is still to be stopped. */
  signal: AbortSignal;
}

export interface EmbeddedService extends Stoppable {
  url: string;
  /** On the first start only: a key for miners, stored nowhere. */
  firstKey?: string | undefined;
  pids: () => { apiServer: number | undefined; packager: number | undefined };
}

/** Starts everything; whatever fails, nothing stays behind. @throws the reason of `signal`, where that kept it from starting */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedService> {
  const { dataDir, env, main, tell, signal } = options;
  const parts: Stoppable[] = [];
  const stop = async (): Promise<void> => {
    const failures: unknown[] = [];
    for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
      await part.stop().catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw new AggregateError(failures, 'not everything could be stopped');
  };
  try {
    const secrets = await readOrMakeSecrets(dataDir);
    const port = options.port === 0 ? await freePort() : options.port;
    const url = `http://localhost:${port}`;
    const brokerUrl = env['BROKER_URL'] || (await startBroker(join(dataDir, 'broker'), secrets.brokerPasscode, parts));
    const onRestart = (command: string, how: string): void => tell(`The ${command} ${how}; starting it again.`);
    const onReady = (command: string): void => tell(`The ${command} is running again.`);
    const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined);
    const childEnv = {
      ...Object.fromEntries(given),
      LOG_LEVEL: env['LOG_LEVEL'] || 'warn',
      DATA_DIR: dataDir,
      BROKER_URL: brokerUrl,
      PACKAGER_KEY: env['PACKAGER_KEY'] || secrets.packagerKey,
      PORT: String(port),
      PUBLIC_URL: env['PUBLIC_URL'] || url,
      API_URL: url,
    };
    const child = { main, env: childEnv, onRestart, onReady, signal };
    const apiServer = await startChild({ ...child, command: 'api-server' });
    parts.push(apiServer);
    const packager = await startChild({ ...child, command: 'packager' });
    parts.push(packager);
    const firstKey = await firstStart({ ...options, url });
    return { url, firstKey, stop, pids: () => ({ apiServer: apiServer.pid, packager: packager.pid }) };
  } catch (error) {
    await stop();
    signal.throwIfAborted();
    throw error;
  }
}

async function startBroker(folder: string, passcode: string, parts: Stoppable[]): Promise<string> {
  const broker = await startEmbeddedBroker({ folder, port: 0, accounts: [{ login: 'adit', passcode }] });
  parts.push(broker);
  return broker.url.replace('://', `://adit:${passcode}@`);
}

/** Where nobody has a key yet: ingests the sample, and makes a key for miners. */
async function firstStart(options: EmbeddedOptions & { url: string }): Promise<string | undefined> {
  const { dataDir, env, url, tell, signal } = options;
  const database = await openDatabase({ databaseUrl: env['DATABASE_URL'] || undefined, dataDir });
  try {
    const { knex } = database;
    if ((await listKeys(knex)).some(({ role }) => role === 'miner')) return undefined;
    tell('First start: ingesting the sample, the State of the Union addresses 1790–2021…');
    const installer = await createMiner(knex, { name: 'first start', role: 'admin' });
    try {
      const { added } = await ingestSample({ url, key: installer.key }, signal);
      tell(`${added} documents are in the collection "sotu".`);
    } finally {
      await revokeKey(knex, installer.keyId);
    }
    return (await createMiner(knex, { name: 'sample', role: 'miner' })).key;
  } finally {
    await database.close();
  }
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
