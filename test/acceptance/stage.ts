/** What the acceptance tests run on: everything embedded, or a real broker, database and store. */
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ListMultipartUploadsCommand, paginateListObjectsV2, type S3Client } from '@aws-sdk/client-s3';
import { startEmbeddedBroker, type EmbeddedBroker } from '../../queue-config/embedded-broker/index.js';
import { copyMigratedFolder } from '../api-server/migrated-folder.js';
import { startActiveMQ } from '../servers/activemq.js';
import { freePorts } from '../servers/free-ports.js';
import { startPostgreSQL, type PostgreSQL } from '../servers/postgresql.js';
import { startRabbitMQ } from '../servers/rabbitmq.js';
import { startRadosgw, type Radosgw } from '../servers/radosgw.js';
import { makeRunFolder } from '../servers/run-folder.js';

export interface Stage {
  name: 'embedded' | 'real';
  broker: StageBroker;
  /** An empty database and archive store of one test. */
  makeStores(): Promise<Stores>;
  close(): Promise<void>;
}

export interface StageBroker {
  port: number;
  url(account: 'api-server' | 'packager' | 'operator'): string;
  /** What is known of a queue; undefined where there is none. */
  queue(name: string): Promise<{ size: number; consumers: number } | undefined>;
  /** Stops it; what is persistent stays. */
  stop(): Promise<void>;
  restart(): Promise<void>;
}

export interface Stores {
  /** For api-server and packager. */
  env: Record<string, string>;
  /** Keys of what is stored under a prefix, unfinished files excepted. */
  keys(prefix: string): Promise<string[]>;
  /** What is half uploaded: multipart uploads, or temporary files. */
  unfinished(): Promise<string[]>;
  close(): Promise<void>;
}

export async function startEmbeddedStage(): Promise<Stage> {
  const folder = makeRunFolder('stage');
  const [port = 0] = await freePorts(1);
  const passcode = randomBytes(12).toString('hex');
  const start = (): Promise<EmbeddedBroker> =>
    startEmbeddedBroker({ folder: join(folder.path, 'broker'), port, accounts: [{ login: 'adit', passcode }] });
  let broker = await start();
  return {
    name: 'embedded',
    broker: {
      port,
      url: () => `stomp://adit:${passcode}@127.0.0.1:${port}`,
      queue(name) {
        const found = broker.statistics().queues.find((queue) => queue.name === name);
        return Promise.resolve(found && { size: found.depth + found.unacknowledged, consumers: found.consumers });
      },
      stop: () => broker.stop(),
      async restart() {
        broker = await start();
      },
    },
    async makeStores() {
      const stores = folderStores();
      await copyMigratedFolder(stores.env.DATA_DIR);
      return stores;
    },
    async close() {
      await broker.stop();
      folder.remove();
    },
  };
}

function folderStores(): Stores & { env: { DATA_DIR: string } } {
  const folder = makeRunFolder('data');
  const files = (): string[] => {
    const archives = join(folder.path, 'archives');
    const entries = readdirSync(folder.path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && entry.parentPath.startsWith(archives))
      .map((entry) => join(entry.parentPath, entry.name).slice(archives.length + 1));
  };
  const isFinished = (key: string): boolean => /\.(zip|json)$/.test(key);
  return {
    env: { DATA_DIR: folder.path },
    keys: (prefix) => Promise.resolve(files().filter((key) => key.startsWith(prefix) && isFinished(key))),
    unfinished: () => Promise.resolve(files().filter((key) => !isFinished(key))),
    close() {
      folder.remove();
      return Promise.resolve();
    },
  };
}

/** RabbitMQ and PostgreSQL, as operators run them; archives go to a folder. */
export async function startRabbitMQStage(): Promise<Stage> {
  const [rabbitmq, postgresql] = await Promise.all([startRabbitMQ(), startPostgreSQL()]);
  return {
    name: 'real',
    broker: {
      port: rabbitmq.stompPort,
      url: (account) => rabbitmq.url(account),
      async queue(name) {
        const path = `queues/%2F/${name.replace('/queue/', '').replaceAll('/', '.')}`;
        const found = (await rabbitmq.ask(path)) as { messages?: number; consumers?: number } | undefined;
        return found && { size: found.messages ?? 0, consumers: found.consumers ?? 0 };
      },
      stop: () => rabbitmq.stop(),
      restart: () => rabbitmq.restart(),
    },
    makeStores: () => makeFolderStores(postgresql),
    async close() {
      await Promise.all([rabbitmq.close(), postgresql.close()]);
    },
  };
}

/** A database of their own; archives go to a folder. */
export async function makeFolderStores(postgresql: Pick<PostgreSQL, 'createDatabase'>): Promise<Stores> {
  const stores = folderStores();
  return { ...stores, env: { ...stores.env, DATABASE_URL: await postgresql.createDatabase() } };
}

export async function startRealStage(): Promise<Stage> {
  const [activemq, postgresql, radosgw] = await Promise.all([startActiveMQ(), startPostgreSQL(), startRadosgw()]);
  const client = radosgw.client();
  return {
    name: 'real',
    broker: {
      port: activemq.stompPort,
      url: (account) => activemq.url(account),
      queue: (name) => activemq.queue(name),
      stop: () => activemq.stop(),
      restart: () => activemq.restart(),
    },
    makeStores: () => makeRealStores(postgresql, radosgw, client),
    async close() {
      client.destroy();
      await Promise.all([activemq.close(), postgresql.close(), radosgw.close()]);
    },
  };
}

/**
 * A database and a bucket of their own.
 * @param client to look behind the scenes with
 */
export async function makeRealStores(
  postgresql: Pick<PostgreSQL, 'createDatabase'>,
  radosgw: Pick<Radosgw, 'createBucket' | 'environment'>,
  client: S3Client,
): Promise<Stores> {
  const bucket = await radosgw.createBucket();
  const folder = makeRunFolder('data');
  return {
    env: {
      DATABASE_URL: await postgresql.createDatabase(),
      ...radosgw.environment,
      S3_BUCKET: bucket,
      DATA_DIR: folder.path,
    },
    async keys(Prefix) {
      const pages = paginateListObjectsV2({ client }, { Bucket: bucket, Prefix });
      const keys: string[] = [];
      for await (const { Contents = [] } of pages) keys.push(...Contents.map(({ Key }) => Key ?? ''));
      return keys;
    },
    async unfinished() {
      const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
      return Uploads.map(({ Key }) => Key ?? '');
    },
    close() {
      folder.remove();
      return Promise.resolve();
    },
  };
}
